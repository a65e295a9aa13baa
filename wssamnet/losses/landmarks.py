"""Losses of known correspondences: how far landmarks are from where they belong, how much of their ROIs overlaps."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from wssamnet.losses.checks import as_displacement, as_pair, as_sizes


def landmark_distance(
    displacement: Tensor, fixed: Sequence[Tensor], moving: Sequence[Tensor], *, spacing: Sequence[float] | None = None
) -> Tensor:
    """Mean over landmarks of |x + u(x) - y|, then over cases: x a fixed landmark, y the moving one it belongs to.

    Args:
        displacement: (B, 3, X, Y, Z), voxels in ijk order, pull-back; read trilinearly, beyond the border as at it.
        fixed, moving: a case each, (N, 3), voxels in ijk order; any N, not the same for all.
        spacing: three voxel sizes in mm; the distance is then in mm. None: voxels.

    Returns:
        scalar; cases without landmarks do not count, and without any it is 0.

    Raises:
        TypeError, ValueError: not a (B, 3, X, Y, Z) floating-point tensor, landmarks that do not fit it, or not three
            spacings.
    """
    u = as_displacement(displacement)
    if not len(fixed) == len(moving) == len(u):
        raise ValueError(f"landmarks of {len(fixed)} and {len(moving)} cases do not fit a batch of {len(u)}")
    unit = u.new_tensor(as_sizes(spacing))
    size = u.new_tensor(u.shape[:1:-1])  # torch's grid has kji order, -1 and +1 at the outer faces
    distances = []
    for field, x, y in zip(u, fixed, moving, strict=True):
        if x.ndim != 2 or x.shape[1] != 3 or x.shape != y.shape:
            raise ValueError(f"landmarks must be two times (N, 3), not {tuple(x.shape)} and {tuple(y.shape)}")
        if len(x):
            x, y = x.to(u), y.to(u)
            points = ((2 * x.flip(-1) + 1) / size - 1)[None, :, None, None]
            there = F.grid_sample(field[None], points, "bilinear", padding_mode="border", align_corners=False)
            distances.append(torch.linalg.vector_norm((x + there[0, :, :, 0, 0].T - y) * unit, dim=-1).mean())
    return torch.stack(distances).mean() if distances else u.sum() * 0


def overlap(fixed: Tensor, moving: Tensor) -> Tensor:
    """1 - Dice of two soft masks, mean over the cases (Milletari et al. 2016; as a label-driven loss of a
    registration, Hu et al. 2018): 0 where they agree, 1 where nothing overlaps.

    Args:
        fixed, moving: (B, C, X, Y, Z), values in [0, 1], `moving` already warped.

    Returns:
        scalar; a case of two empty masks counts 0.

    Raises:
        TypeError, ValueError: not floating point, or shapes that differ.
    """
    fixed, moving = as_pair(fixed, moving)
    a, b = fixed.flatten(1), moving.flatten(1)
    both, sizes = (a * b).sum(1), (a + b).sum(1)
    return torch.where(sizes > 0, 1 - 2 * both / sizes.clamp(min=1e-6), 0).mean()

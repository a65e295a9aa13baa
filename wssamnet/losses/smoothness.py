"""Penalties of a displacement field's roughness (paper, equation 4)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from wssamnet.losses.checks import as_images


def smoothness(
    displacement: Tensor,
    *,
    kind: Literal["l2", "l1", "bending"] = "l2",
    spacing: Sequence[float] | None = None,
) -> Tensor:
    """How much neighbouring voxels move differently.

    - ``l2``: mean of (u(x + e_a) - u(x))² over components, voxels, and the three axes a (equation 4).
    - ``l1``: mean of the absolute forward differences.
    - ``bending``: mean of u_xx² + u_yy² + u_zz² + 2u_xy² + 2u_xz² + 2u_yz², from differences of differences;
      0 for every affine field.

    Args:
        displacement: (B, 3, X, Y, Z), voxels of the fixed grid.
        kind: which penalty.
        spacing: three voxel sizes in mm; the derivatives are then mm per mm (bending: per mm). None: voxels.

    Returns:
        scalar.

    Raises:
        TypeError, ValueError: not a (B, 3, X, Y, Z) floating-point tensor, an unknown kind, or not three spacings.
    """
    u = as_images("displacement", displacement)
    if u.shape[1] != 3:
        raise ValueError(f"displacement must have three components, (B, 3, X, Y, Z), not {tuple(u.shape)}")
    if kind not in ("l2", "l1", "bending"):
        raise ValueError(f"kind must be 'l2', 'l1' or 'bending', not '{kind}'")
    sizes = _sizes(spacing)
    if sizes != (1.0, 1.0, 1.0):
        u = u * torch.tensor(sizes, dtype=u.dtype, device=u.device).view(1, 3, 1, 1, 1)
    if kind == "bending":
        return _bending(u, sizes)
    return smoothness_reference(u, kind, sizes)


def _sizes(spacing: Sequence[float] | None) -> tuple[float, float, float]:
    if spacing is None:
        return (1.0, 1.0, 1.0)
    sizes = tuple(float(size) for size in spacing)
    if len(sizes) != 3 or not all(size > 0 for size in sizes):
        raise ValueError(f"spacing must be three positive numbers, not {tuple(spacing)}")
    return (sizes[0], sizes[1], sizes[2])


def smoothness_reference(u: Tensor, kind: str, sizes: tuple[float, float, float]) -> Tensor:
    """The first-order penalties in plain torch; `u` (B, 3, X, Y, Z) in units of `sizes`."""
    terms = []
    for axis, size in enumerate(sizes):
        difference = torch.diff(u, dim=axis + 2) / size
        if difference.numel():
            terms.append((difference.abs() if kind == "l1" else difference.square()).mean())
    return torch.stack(terms).sum() / 3 if terms else u.sum() * 0


def _bending(u: Tensor, sizes: tuple[float, float, float]) -> Tensor:
    total = u.sum() * 0
    for a in range(3):
        first = torch.diff(u, dim=a + 2) / sizes[a]
        for b in range(a, 3):
            second = torch.diff(first, dim=b + 2) / sizes[b]
            if second.numel():
                total = total + (1 if a == b else 2) * second.square().mean()
    return total

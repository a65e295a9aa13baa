"""The spatial transformer, and what else a displacement field needs inside a network."""

from __future__ import annotations

import math
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor


def _cube_points(displacement: Tensor) -> Tensor:
    """(B, X, Y, Z, 3): where each voxel reads, in torch's kji order, -1 and +1 at the outer voxel centres."""
    shape = displacement.shape[2:]
    points = []
    for axis in (2, 1, 0):
        scale = 2 / max(shape[axis] - 1, 1)
        line = torch.arange(shape[axis], dtype=displacement.dtype, device=displacement.device) * scale - 1
        view = [1, 1, 1]
        view[axis] = -1
        points.append(torch.addcmul(line.view(view), displacement[:, axis], displacement.new_tensor(scale)))
    return torch.stack(points, dim=-1)


def warp(image: Tensor, displacement: Tensor, *, outside: Literal["zero", "border"] = "zero") -> Tensor:
    """Read an image at displaced places (Jaderberg et al. 2015), trilinear.

    Args:
        image: (B, C, X, Y, Z), the moving image.
        displacement: (B, 3, X, Y, Z), voxels in ijk order, pull-back: out(x) = image(x + u(x)).
        outside: what lies beyond the image: 0, or its border value.

    Returns:
        (B, C, X, Y, Z).
    """
    points = _cube_points(displacement)
    padding = "zeros" if outside == "zero" else "border"
    batch, channels, x = image.shape[:3]
    parts = math.gcd(x, torch.get_num_threads())
    if batch == 1 and parts > 1 and image.device.type == "cpu" and not image.requires_grad:
        # torch spreads the items of a batch over the threads, never one item: slabs become items
        slabs = points.view(parts, x // parts, *points.shape[2:])
        out = F.grid_sample(
            image.expand(parts, -1, -1, -1, -1), slabs, "bilinear", padding_mode=padding, align_corners=True
        )
        joined: Tensor = out.transpose(0, 1).reshape(1, channels, *points.shape[1:4])
        return joined
    warped: Tensor = F.grid_sample(image, points, "bilinear", padding_mode=padding, align_corners=True)
    return warped


def compose(first: Tensor, then: Tensor) -> Tensor:
    """The displacement of x → x + first(x) → … + then there.

    Args:
        first, then: (B, 3, X, Y, Z), voxels, pull-back.

    Returns:
        (B, 3, X, Y, Z): first(x) + then(x + first(x)); beyond the border `then` stays constant.
    """
    return first + warp(then, first, outside="border")


def integrate(velocity: Tensor, steps: int = 7) -> Tensor:
    """Exponential of a stationary velocity field by scaling and squaring (Arsigny et al. 2006).

    Args:
        velocity: (B, 3, X, Y, Z), voxels.
        steps: squarings.

    Returns:
        (B, 3, X, Y, Z), displacement in voxels; that of ``-velocity`` is its inverse.
    """
    displacement = velocity * 0.5**steps
    for _ in range(steps):
        displacement = compose(displacement, displacement)
    return displacement


def upsample_displacement(displacement: Tensor) -> Tensor:
    """Double the resolution: (B, 3, X, Y, Z) → (B, 3, 2X, 2Y, 2Z), values doubled, so that voxels stay voxels.

    A coarse voxel covers two fine ones, whose common face is its centre (``align_corners=False``).
    """
    doubled: Tensor = F.interpolate(displacement, scale_factor=2, mode="trilinear", align_corners=False)
    return doubled * 2

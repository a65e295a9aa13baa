"""Penalties of a displacement field's roughness (paper, equation 4)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from wssamnet.kernels.roughness import roughness
from wssamnet.losses.checks import as_displacement, as_sizes, has_kernel, scaled


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
    u = as_displacement(displacement)
    if kind not in ("l2", "l1", "bending"):
        raise ValueError(f"kind must be 'l2', 'l1' or 'bending', not '{kind}'")
    sizes = as_sizes(spacing)
    if kind == "bending":
        return _bending(u, sizes)
    if has_kernel(u):
        return _Smoothness.apply(u, kind == "l1", sizes)  # type: ignore[no-any-return]
    return smoothness_reference(u, kind, sizes)


class _Smoothness(torch.autograd.Function):
    """The first-order penalties by the compiled kernel; the gradient is made on the way and kept."""

    @staticmethod
    def forward(ctx: Any, displacement: Tensor, absolute: bool, sizes: tuple[float, float, float]) -> Tensor:
        u = displacement.detach().contiguous().numpy()
        voxels = u[0, 0].size
        ratio = np.asarray(sizes)[:, None] / np.asarray(sizes)  # component's unit over axis's unit
        pairs = np.array([max(voxels // n * (n - 1), 1) for n in u.shape[2:]])
        weights = ((ratio if absolute else ratio**2) / (9 * len(u) * pairs) * voxels).astype(np.float32)
        gradient = np.empty_like(u) if ctx.needs_input_grad[0] else None
        total = 0.0
        for i in range(len(u)):
            kept = None if gradient is None else gradient[i]
            total += roughness(u[i], weights, absolute=absolute, gradient=kept, scale=1 / voxels)
        ctx.save_for_backward(None if gradient is None else torch.from_numpy(gradient))
        return displacement.new_tensor(total / voxels)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,) = ctx.saved_tensors
        return scaled(gradient, upstream), None, None


def smoothness_reference(u: Tensor, kind: str, sizes: tuple[float, float, float]) -> Tensor:
    """The first-order penalties in plain torch, for every device and float type; `u` (B, 3, X, Y, Z) in voxels."""
    u = _in_units(u, sizes)
    terms = []
    for axis, size in enumerate(sizes):
        difference = torch.diff(u, dim=axis + 2) / size
        if difference.numel():
            terms.append((difference.abs() if kind == "l1" else difference.square()).mean())
    return torch.stack(terms).sum() / 3 if terms else u.sum() * 0


def _in_units(u: Tensor, sizes: tuple[float, float, float]) -> Tensor:
    if sizes == (1.0, 1.0, 1.0):
        return u
    return u * torch.tensor(sizes, dtype=u.dtype, device=u.device).view(1, 3, 1, 1, 1)


def _bending(u: Tensor, sizes: tuple[float, float, float]) -> Tensor:
    u = _in_units(u, sizes)
    total = u.sum() * 0
    for a in range(3):
        first = torch.diff(u, dim=a + 2) / sizes[a]
        for b in range(a, 3):
            second = torch.diff(first, dim=b + 2) / sizes[b]
            if second.numel():
                total = total + (1 if a == b else 2) * second.square().mean()
    return total

"""Local normalised cross-correlation (paper, equation 2)."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor
from torch.autograd.function import once_differentiable

from wssamnet.kernels.lncc import lncc_sum
from wssamnet.losses.checks import as_mask, as_pair, as_volumes, from_volumes, has_kernel, scaled

EPSILON = 1e-5  # VoxelMorph's, added to the product of the two sums of squared deviations
FLAT = 1e-5  # below this part of the sum of squares a variance is float32 rounding, and the patch counts as constant


def lncc(fixed: Tensor, moving: Tensor, *, window: int = 9, squared: bool = True, mask: Tensor | None = None) -> Tensor:
    """Minus the mean of the correlation of every voxel's cubic neighbourhood.

    With the sums over a window W of N = window³ voxels, cross = Σ ab - Σa Σb / N and likewise var(a), var(b)::

        squared:      cross² / (var(a) var(b) + ε)         what VoxelMorph, neurite and MONAI call NCC
        not squared:  cross / sqrt(var(a) var(b) + ε)      keeps the sign: inverted contrast is no match

    Border: beyond the edge both images are 0 and N stays window³, as VoxelMorph has it. Nothing is added to the
    numerator, so flat patches earn nothing: where either image is constant the value and the gradient are 0.
    float32 on a CPU runs one compiled pass for value and gradient; everything else runs `lncc_reference`.

    Args:
        fixed, moving: (B, C, X, Y, Z), intensities of order 1. Any float type; half precision is computed in float32.
        window: edge of the neighbourhood, voxels, odd.
        squared: which form.
        mask: (B, 1 or C, X, Y, Z); the mean is over windows centred on these voxels.

    Returns:
        scalar in [-1, 0], or [-1, 1] when not squared; 0 for an empty mask. Differentiable once, in both images.

    Raises:
        TypeError, ValueError: tensors or a window that do not fit the above.
    """
    if window < 1 or window % 2 == 0:
        raise ValueError(f"window must be an odd positive number of voxels, not {window}")
    fixed, moving = as_pair(fixed, moving)
    chosen = as_mask(mask, fixed)
    if has_kernel(fixed):
        return _Lncc.apply(fixed, moving, window, squared, chosen)  # type: ignore[no-any-return]
    return lncc_reference(fixed, moving, window, squared, chosen)


class _Lncc(torch.autograd.Function):
    """Minus the mean correlation by the compiled kernel; the gradients are made on the way and kept."""

    @staticmethod
    def forward(ctx: Any, fixed: Tensor, moving: Tensor, window: int, squared: bool, mask: Tensor | None) -> Tensor:
        a, b = as_volumes(fixed), as_volumes(moving)
        chosen = None if mask is None else as_volumes(mask)
        to_fixed, to_moving = (np.empty_like(a) if needed else None for needed in ctx.needs_input_grad[:2])
        mean = _mean(a, b, chosen, window, squared, to_moving)
        if to_fixed is not None:  # the kernel differentiates its second volume, and the value is symmetric
            _mean(b, a, chosen, window, squared, to_fixed)
        ctx.save_for_backward(*(from_volumes(gradient, fixed) for gradient in (to_fixed, to_moving)))
        return fixed.new_tensor(-mean)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
        to_fixed, to_moving = (scaled(kept, upstream) for kept in ctx.saved_tensors)
        return to_fixed, to_moving, None, None, None


def _mean(
    a: NDArray[np.float32],
    b: NDArray[np.float32],
    mask: NDArray[np.bool_] | None,
    window: int,
    squared: bool,
    gradient: NDArray[np.float32] | None,
) -> float:
    """Mean correlation of (N, X, Y, Z) volumes; minus its gradient with respect to `b` into `gradient`."""
    count = a.size if mask is None else max(int(np.count_nonzero(mask)), 1)
    total = 0.0
    for i in range(len(a)):
        total += lncc_sum(
            a[i],
            b[i],
            None if mask is None else mask[i],
            window=window,
            squared=squared,
            epsilon=EPSILON,
            flat=FLAT,
            gradient=None if gradient is None else gradient[i],
            scale=-1 / count,
        )
    return total / count


def lncc_reference(fixed: Tensor, moving: Tensor, window: int, squared: bool, mask: Tensor | None) -> Tensor:
    """The same in plain torch, for every device and float type; `mask` (B, C, X, Y, Z) bool."""
    n = float(window**3)
    sums = _box(torch.cat((fixed, moving, fixed * fixed, moving * moving, fixed * moving)), window)
    a, b, aa, bb, ab = sums.chunk(5)
    cross, var_a, var_b = ab - a * b / n, aa - a * a / n, bb - b * b / n
    textured = (var_a > FLAT * aa) & (var_b > FLAT * bb)
    denominator = torch.where(textured, var_a * var_b, 1.0) + EPSILON
    cross = torch.where(textured, cross, 0.0)
    correlation = cross * cross / denominator if squared else cross / denominator.sqrt()
    if mask is None:
        return -correlation.mean()
    return -(correlation * mask).sum() / mask.sum().clamp(min=1)


def _box(images: Tensor, window: int) -> Tensor:
    """Sums over window³ voxels, zeros beyond the edge; one axis at a time."""
    radius = window // 2
    images = F.pad(images, (radius,) * 6)
    for axis in range(3):
        size = [1, 1, 1]
        size[axis] = window
        images = F.avg_pool3d(images, size, stride=1) * window
    return images

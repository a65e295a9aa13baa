"""Mutual information of two images (paper, equation 3)."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from wssamnet.kernels.mutual_information import SHARE, mutual_information_of
from wssamnet.losses.checks import as_mask, as_pair, as_volumes, from_volumes, has_kernel, scaled


def mutual_information(fixed: Tensor, moving: Tensor, *, bins: int = 32, mask: Tensor | None = None) -> Tensor:
    """Minus the mutual information, in nats.

    MI = Σ_ij p_ij log(p_ij / (p_i p_j)), p the joint histogram. Each voxel is shared linearly between the two
    nearest bins of either axis (a Parzen window of the first-order B-spline), which makes MI differentiable.

    - The bins of each image span its own smallest to largest counted value, whatever its sign or scale;
      these limits carry no gradient.
    - Inside the logarithms each probability gets 1e-4 of one voxel's, so that emptying a bin has a finite slope.
    - Background: a voxel that is exactly 0 in both images is not counted. A voxel that is exactly 0 in one image
      counts, but gets no gradient in that image: background is not tissue that could become brighter.
    - Each channel of each pair has a histogram of its own; the result is their mean.

    Args:
        fixed, moving: (B, C, X, Y, Z), any range. Any float type; half precision is computed in float32.
        bins: of either axis.
        mask: (B, 1 or C, X, Y, Z); only these voxels are counted.

    Returns:
        scalar, at most 0 (to rounding); 0 where nothing is counted, or an image is constant or of a range that its
        type cannot divide into bins. Differentiable once, in both images.

    Raises:
        TypeError, ValueError: tensors that do not fit the above, or fewer than 2 bins.
    """
    if bins < 2:
        raise ValueError(f"bins must be at least 2, not {bins}")
    fixed, moving = as_pair(fixed, moving)
    chosen = as_mask(mask, fixed)
    if has_kernel(fixed):
        return _MutualInformation.apply(fixed, moving, bins, chosen)  # type: ignore[no-any-return]
    return mutual_information_reference(fixed, moving, bins, chosen)


class _MutualInformation(torch.autograd.Function):
    """Minus the mean MI by the compiled kernel; the gradients are made on the way and kept."""

    @staticmethod
    def forward(ctx: Any, fixed: Tensor, moving: Tensor, bins: int, mask: Tensor | None) -> Tensor:
        a, b = as_volumes(fixed), as_volumes(moving)
        chosen = None if mask is None else as_volumes(mask)
        to_fixed, to_moving = (np.empty_like(a) if needed else None for needed in ctx.needs_input_grad[:2])
        mean = 0.0
        for i in range(len(a)):
            mean += mutual_information_of(
                a[i].ravel(),
                b[i].ravel(),
                None if chosen is None else chosen[i].ravel(),
                bins=bins,
                gradients=(
                    None if to_fixed is None else to_fixed[i].ravel(),
                    None if to_moving is None else to_moving[i].ravel(),
                ),
                scale=-1 / len(a),
            ) / len(a)
        ctx.save_for_backward(*(from_volumes(gradient, fixed) for gradient in (to_fixed, to_moving)))
        return fixed.new_tensor(-mean)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
        to_fixed, to_moving = (scaled(kept, upstream) for kept in ctx.saved_tensors)
        return to_fixed, to_moving, None, None


def mutual_information_reference(fixed: Tensor, moving: Tensor, bins: int, mask: Tensor | None) -> Tensor:
    """The same in plain torch, for every device and float type; `mask` (B, C, X, Y, Z) bool."""
    f, m = fixed.flatten(0, 1).flatten(1), moving.flatten(0, 1).flatten(1)
    chosen = (f != 0) | (m != 0)
    if mask is not None:
        chosen = chosen & mask.reshape(f.shape)
    terms = [_mi(a[c], b[c], bins) for a, b, c in zip(f, m, chosen, strict=True)]
    return -torch.stack(terms).mean()


def _mi(a: Tensor, b: Tensor, bins: int) -> Tensor:
    """MI of two lists of intensities."""
    if len(a) == 0 or not (_has_bins(a, bins) and _has_bins(b, bins)):
        return a[:0].sum() + b[:0].sum()  # 0, and still part of the graph
    low_a, part_a = _share(a, bins)
    low_b, part_b = _share(b, bins)
    joint = a.new_zeros(bins * bins)
    for i, weight_a in ((low_a, 1 - part_a), (low_a + 1, part_a)):
        for j, weight_b in ((low_b, 1 - part_b), (low_b + 1, part_b)):
            joint = joint.index_add(0, i * bins + j, weight_a * weight_b)
    p = joint.view(bins, bins) / len(a)
    e = SHARE / len(a)
    rows, columns = p.sum(1, keepdim=True), p.sum(0, keepdim=True)
    return (p * ((p + e).log() - (rows + e).log() - (columns + e).log())).sum()


def _has_bins(values: Tensor, bins: int) -> bool:
    """Not a constant image, nor a range that its type cannot divide; what is not finite goes on, to be seen."""
    low, high = values.detach().min(), values.detach().max()
    step = (bins - 1) / (high - low)
    return not bool(low.isfinite() & high.isfinite() & (step.isinf() | (step == 0)))


def _share(values: Tensor, bins: int) -> tuple[Tensor, Tensor]:
    """(lower bin, part given to the bin above) of every value; exact zeros carry no gradient."""
    values = torch.where(values == 0, values.detach(), values)
    low, high = values.detach().min(), values.detach().max()
    position = (values - low) * ((bins - 1) / (high - low))
    index = position.detach().floor().long().clamp(0, bins - 2)
    return index, position - index

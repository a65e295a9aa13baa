"""Mutual information of two images (paper, equation 3)."""

from __future__ import annotations

import torch
from torch import Tensor

from wssamnet.losses.checks import as_mask, as_pair


def mutual_information(fixed: Tensor, moving: Tensor, *, bins: int = 32, mask: Tensor | None = None) -> Tensor:
    """Minus the mutual information, in nats.

    MI = Σ_ij p_ij log(p_ij / (p_i p_j)), p the joint histogram. Each voxel is shared linearly between the two
    nearest bins of either axis (a Parzen window of the first-order B-spline), which makes MI differentiable.

    - The bins of each image span its own smallest to largest counted value, whatever its sign or scale;
      these limits carry no gradient.
    - Background: a voxel that is exactly 0 in both images is not counted. A voxel that is exactly 0 in one image
      counts, but gets no gradient in that image: background is not tissue that could become brighter.
    - Each channel of each pair has a histogram of its own; the result is their mean.

    Args:
        fixed, moving: (B, C, X, Y, Z), any range. Any float type; half precision is computed in float32.
        bins: of either axis.
        mask: (B, 1 or C, X, Y, Z); only these voxels are counted.

    Returns:
        scalar, at most 0; 0 where nothing is counted or an image is constant. Differentiable once, in both images.

    Raises:
        TypeError, ValueError: tensors that do not fit the above, or fewer than 2 bins.
    """
    if bins < 2:
        raise ValueError(f"bins must be at least 2, not {bins}")
    fixed, moving = as_pair(fixed, moving)
    chosen = as_mask(mask, fixed)
    return mutual_information_reference(fixed, moving, bins, chosen)


def mutual_information_reference(fixed: Tensor, moving: Tensor, bins: int, mask: Tensor | None) -> Tensor:
    """The same in plain torch, for every device and float type; `mask` (B, C, X, Y, Z) bool."""
    f, m = fixed.flatten(0, 1).flatten(1), moving.flatten(0, 1).flatten(1)
    chosen = (f != 0) | (m != 0)
    if mask is not None:
        chosen = chosen & mask.reshape(f.shape)
    terms = [_mi(a[c], b[c], bins) if bool(c.any()) else a.sum() * 0 for a, b, c in zip(f, m, chosen, strict=True)]
    return -torch.stack(terms).mean()


def _mi(a: Tensor, b: Tensor, bins: int) -> Tensor:
    """MI of two lists of intensities."""
    low_a, part_a = _share(a, bins)
    low_b, part_b = _share(b, bins)
    joint = a.new_zeros(bins * bins)
    for i, weight_a in ((low_a, 1 - part_a), (low_a + 1, part_a)):
        for j, weight_b in ((low_b, 1 - part_b), (low_b + 1, part_b)):
            joint = joint.index_add(0, i * bins + j, weight_a * weight_b)
    p = joint.view(bins, bins) / len(a)
    independent = p.sum(1, keepdim=True) * p.sum(0, keepdim=True)
    filled = p > 0
    ratio = torch.where(filled, p, 1.0) / torch.where(filled, independent, 1.0)
    return torch.where(filled, p * ratio.log(), 0.0).sum()


def _share(values: Tensor, bins: int) -> tuple[Tensor, Tensor]:
    """(lower bin, part given to the bin above) of every value; exact zeros carry no gradient."""
    values = torch.where(values == 0, values.detach(), values)
    low, high = values.detach().min(), values.detach().max()
    span = high - low
    position = (values - low) * torch.where(span > 0, (bins - 1) / span, 0.0)
    index = position.detach().floor().long().clamp(0, bins - 2)
    return index, position - index

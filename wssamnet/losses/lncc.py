"""Local normalised cross-correlation (paper, equation 2)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from wssamnet.losses.checks import as_mask, as_pair

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
    return lncc_reference(fixed, moving, window, squared, chosen)


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

"""The paper's image term: local correlation and mutual information of the two edge images."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from wssamnet.losses.laplacian_of_gaussian import laplacian_of_gaussian
from wssamnet.losses.lncc import lncc
from wssamnet.losses.mutual_information import mutual_information
from wssamnet.settings import Settings

_LEAST_SIGMA = 0.75  # voxels; the samples of a narrower Gaussian's second derivative no longer add up to 0


def image_loss(
    fixed: Tensor, moving: Tensor, settings: Settings, spacing: Sequence[float], mask: Tensor | None = None
) -> dict[str, Tensor]:
    """How badly the warped moving image fits the fixed one, by terms that only need adding up.

    -w_cc·cc(LoG f, LoG m) - w_mi·MI(LoG f, LoG m). The LoG is the scale-normalised one with its sigma in mm,
    at least 0.75 voxels along each axis; with ``log_sigma_mm`` 0 the images themselves are compared. A term of weight
    0 is left out.

    Args:
        fixed: (B, C, X, Y, Z), intensities of order 1.
        moving: same shape, already warped.
        settings: the ``lncc_*``, ``mi_*`` and ``log_sigma_mm`` are read.
        spacing: voxel size along the three axes, mm.
        mask: (B, 1 or C, X, Y, Z); only these voxels count.

    Returns:
        {"lncc": weighted term, "mi": weighted term}, each a scalar to be minimised.
    """
    if settings.log_sigma_mm > 0:
        sigma = [max(settings.log_sigma_mm / float(size), _LEAST_SIGMA) for size in spacing]
        with torch.set_grad_enabled(torch.is_grad_enabled() and fixed.requires_grad):
            fixed = laplacian_of_gaussian(fixed, sigma=sigma, normalised=True)
        moving = laplacian_of_gaussian(moving, sigma=sigma, normalised=True)
    terms: dict[str, Tensor] = {}
    if settings.lncc_weight > 0:
        correlation = lncc(fixed, moving, window=settings.lncc_window, squared=settings.lncc_squared, mask=mask)
        terms["lncc"] = settings.lncc_weight * correlation
    if settings.mi_weight > 0:
        terms["mi"] = settings.mi_weight * mutual_information(fixed, moving, bins=settings.mi_bins, mask=mask)
    return terms

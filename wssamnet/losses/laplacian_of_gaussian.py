"""Laplacian of Gaussian: edges, whatever the contrast on their two sides."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from wssamnet.kernels.laplacian import laplacian
from wssamnet.losses.checks import as_images, as_volumes, has_kernel

Kernels = list[tuple[NDArray[np.float64], NDArray[np.float64]]]

TRUNCATE = 4.0  # the kernels reach so many sigma, as scipy's


def laplacian_of_gaussian(image: Tensor, *, sigma: float | Sequence[float], normalised: bool = False) -> Tensor:
    """Σ_a ∂²(G_σ * image)/∂x_a², by the analytic second derivative of the Gaussian.

    Agrees with ``scipy.ndimage.gaussian_laplace(image, sigma, mode="constant")``. Border: the image is 0 beyond its
    edge. That makes the operator its own adjoint, so the gradient is the same operation once more.

    Args:
        image: (B, C, X, Y, Z). Any float type; half precision is computed in float32.
        sigma: voxels, one number or one per axis.
        normalised: multiply each axis's term by its σ² (Lindeberg's scale-normalised form): the result is then of
            the order of the image's contrast at any σ, and right in mm on anisotropic grids when σ is one length in mm.

    Returns:
        tensor of the image's shape, voxel⁻² (no unit when normalised). Differentiable.

    Raises:
        TypeError, ValueError: a tensor or sigma that does not fit the above.
    """
    image = as_images("image", image)
    widths = (float(sigma),) * 3 if isinstance(sigma, int | float) else tuple(float(width) for width in sigma)
    if len(widths) != 3 or not all(width > 0 for width in widths):
        raise ValueError(f"sigma must be one positive number or three, in voxels, not {sigma}")
    kernels = [log_kernels(width, normalised) for width in widths]
    if has_kernel(image):
        return _LaplacianOfGaussian.apply(image, kernels)  # type: ignore[no-any-return]
    return log_reference(image, kernels)


class _LaplacianOfGaussian(torch.autograd.Function):
    """The compiled kernel, forwards and, being symmetric, backwards."""

    @staticmethod
    def forward(ctx: Any, image: Tensor, kernels: Kernels) -> Tensor:
        ctx.kernels = kernels
        out = torch.empty(image.shape, dtype=image.dtype)
        for source, target in zip(as_volumes(image), as_volumes(out), strict=True):
            laplacian(source, kernels, target)
        return out

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
        return _LaplacianOfGaussian.apply(upstream, ctx.kernels), None


def log_kernels(sigma: float, normalised: bool = False) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The sampled Gaussian (sum 1) and its second derivative (x²/σ⁴ - 1/σ²)·G; both (2r + 1,), symmetric."""
    radius = int(TRUNCATE * sigma + 0.5)
    x = np.arange(-radius, radius + 1, dtype=np.float64)
    gaussian = np.exp(-0.5 * (x / sigma) ** 2)
    gaussian /= gaussian.sum()
    second = (x**2 / sigma**4 - 1 / sigma**2) * gaussian
    return gaussian, second * sigma**2 if normalised else second


def log_reference(image: Tensor, kernels: Kernels) -> Tensor:
    """The same in plain torch, for every device and float type; seven one-dimensional convolutions."""
    x, y, z = kernels
    with torch.autocast(image.device.type, enabled=False):
        flat = image.flatten(0, 1).unsqueeze(1)
        smooth, curved = _convolve(flat, x[0], 0), _convolve(flat, x[1], 0)
        curved = _convolve(curved, y[0], 1) + _convolve(smooth, y[1], 1)
        smooth = _convolve(smooth, y[0], 1)
        return (_convolve(curved, z[0], 2) + _convolve(smooth, z[1], 2)).view(image.shape)


def _convolve(images: Tensor, kernel: NDArray[np.float64], axis: int) -> Tensor:
    """Convolve (N, 1, X, Y, Z) along one axis, zeros beyond the edge."""
    shape, padding = [1, 1, 1, 1, 1], [0, 0, 0]
    shape[axis + 2], padding[axis] = len(kernel), len(kernel) // 2
    weight = torch.as_tensor(kernel, dtype=images.dtype, device=images.device).view(shape)
    return F.conv3d(images, weight, padding=padding)

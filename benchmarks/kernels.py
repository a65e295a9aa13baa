"""Our kernels beside what others offer for the same job: seconds and memory, in one run.

python benchmarks/kernels.py [--size quarter|half|full ...] [--only lncc ...] [--out kernels.csv]
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from harness import Jobs, Shape, Step, main


def pair(shape: Shape) -> tuple[Any, Any]:
    """Two textured ellipsoids on a background of 0, (1, 1, X, Y, Z); the second one wants its gradient."""
    import torch
    import torch.nn.functional as F

    torch.manual_seed(0)
    axes = torch.meshgrid(*[torch.linspace(-1, 1, n) for n in shape], indexing="ij")
    inside = sum(axis**2 for axis in axes) < 0.8
    coarse = torch.rand(2, 1, *[n // 5 + 1 for n in shape])
    texture = F.interpolate(coarse, size=shape, mode="trilinear") + 0.1 * torch.rand(2, 1, *shape)
    texture = texture / texture.max() * inside
    return texture[:1].clone(), texture[1:].clone().requires_grad_()


def displacement(shape: Shape) -> Any:
    """(1, 3, X, Y, Z): smooth, up to some voxels."""
    import torch
    import torch.nn.functional as F

    torch.manual_seed(1)
    return (3 * F.interpolate(torch.randn(1, 3, 8, 8, 6), size=shape, mode="trilinear")).requires_grad_()


def backwards(loss: Callable[[Any, Any], Any], shape: Shape) -> Step:
    """Value and gradient with respect to the second image."""
    import torch

    fixed, moving = pair(shape)
    return lambda: torch.autograd.grad(loss(fixed, moving).sum(), moving)


def lncc(who: str, shape: Shape) -> Step:
    if who == "wssamnet":
        from wssamnet.losses import lncc as loss

        return backwards(loss, shape)
    if who == "neurite (VoxelMorph)":
        from neurite.nn.modules import NCC

        return backwards(NCC(9), shape)
    from monai.losses import LocalNormalizedCrossCorrelationLoss

    return backwards(LocalNormalizedCrossCorrelationLoss(spatial_dims=3, kernel_size=9), shape)


def mutual_information(who: str, shape: Shape) -> Step:
    if who == "wssamnet":
        from wssamnet.losses import mutual_information as loss

        return backwards(loss, shape)
    from monai.losses import GlobalMutualInformationLoss

    return backwards(GlobalMutualInformationLoss(num_bins=32), shape)


def laplacian_of_gaussian(who: str, shape: Shape) -> Step:
    if who == "scipy, no gradient":
        from scipy.ndimage import gaussian_laplace

        image = pair(shape)[0].numpy()[0, 0]
        return lambda: gaussian_laplace(image, 1.5, mode="constant")
    if who == "wssamnet":
        from wssamnet.losses import laplacian_of_gaussian as filtered

        return backwards(lambda _, b: filtered(b, sigma=1.5), shape)
    from wssamnet.losses.laplacian_of_gaussian import log_kernels, log_reference

    return backwards(lambda _, b: log_reference(b, [log_kernels(1.5)] * 3), shape)


def warp(who: str, shape: Shape) -> Step:
    """Forward and gradient to the displacement."""
    import torch

    image, u = pair(shape)[0], displacement(shape)
    if who == "wssamnet":
        from wssamnet.kernels.warping import gradient_to_displacement
        from wssamnet.kernels.warping import warp as warped

        moving, field = image.numpy()[0], u.detach().numpy()[0]
        return lambda: gradient_to_displacement(moving, field, warped(moving, field))
    if who == "torch grid_sample":
        import torch.nn.functional as F

        axes = torch.meshgrid(*[torch.arange(float(n)) for n in shape], indexing="ij")

        def sampled() -> Any:
            points = [2 * (axes[a] + u[:, a]) / (shape[a] - 1) - 1 for a in (2, 1, 0)]
            return F.grid_sample(image, torch.stack(points, dim=-1), align_corners=True)
    else:
        from voxelmorph.nn.functional import spatial_transform

        sampled = functools.partial(spatial_transform, image, u)

    return lambda: torch.autograd.grad(sampled().sum(), u)


def smoothness(who: str, shape: Shape) -> Step:
    u = displacement(shape)
    if who == "wssamnet":
        from wssamnet.losses import smoothness as penalty
    else:
        from neurite.nn.modules import SpatialGradient

        penalty = SpatialGradient("l2")
    import torch

    return lambda: torch.autograd.grad(penalty(u).sum(), u)


def gaussian(who: str, shape: Shape) -> Step:
    field = displacement(shape).detach()[0].permute(1, 2, 3, 0).contiguous().numpy()
    if who == "wssamnet":
        from wssamnet.kernels.smoothing import gaussian as smoothed

        return lambda: smoothed(field, 2.0)
    from scipy.ndimage import gaussian_filter

    return lambda: gaussian_filter(field, (2, 2, 2, 0))


def jacobian(who: str, shape: Shape) -> Step:
    import numpy as np

    field = displacement(shape).detach()[0].permute(1, 2, 3, 0).contiguous().numpy()
    if who == "wssamnet":
        from wssamnet.kernels.jacobian import determinant

        return lambda: determinant(field, np.eye(3))
    return lambda: np.linalg.det(np.stack(np.gradient(field, axis=(0, 1, 2)), axis=-1) + np.eye(3, dtype=np.float32))


JOBS: Jobs = {
    "lncc": (lncc, ["wssamnet", "neurite (VoxelMorph)", "monai"]),
    "mutual_information": (mutual_information, ["wssamnet", "monai"]),
    "laplacian_of_gaussian": (laplacian_of_gaussian, ["wssamnet", "plain torch", "scipy, no gradient"]),
    "warp": (warp, ["wssamnet", "torch grid_sample", "voxelmorph"]),
    "smoothness": (smoothness, ["wssamnet", "neurite (VoxelMorph)"]),
    "gaussian": (gaussian, ["wssamnet", "scipy"]),
    "jacobian": (jacobian, ["wssamnet", "numpy"]),
}


if __name__ == "__main__":
    main(__doc__, __file__, JOBS, small=(16, 16, 16))

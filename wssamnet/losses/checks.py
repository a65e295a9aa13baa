"""What the losses demand of their tensors, said in one clear line; types brought together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor


def as_images(name: str, image: Tensor) -> Tensor:
    """Check one batch of images; half precision (AMP) becomes float32.

    Args:
        name: the argument's name, for the error.
        image: (B, C, X, Y, Z), floating point.

    Raises:
        TypeError: not a floating-point tensor.
        ValueError: not five-dimensional, or empty.
    """
    if not isinstance(image, Tensor):
        raise TypeError(f"{name} must be a torch tensor, not {type(image).__name__}")
    if not image.is_floating_point():
        raise TypeError(f"{name} must be floating point, not {image.dtype}")
    if image.ndim != 5 or image.numel() == 0:
        raise ValueError(f"{name} must have the shape (B, C, X, Y, Z), none of them 0, not {tuple(image.shape)}")
    return image.float() if image.dtype in (torch.float16, torch.bfloat16) else image


def as_displacement(displacement: Tensor) -> Tensor:
    """Check a batch of displacement fields; half precision becomes float32.

    Raises:
        TypeError: not a floating-point tensor.
        ValueError: not (B, 3, X, Y, Z), or empty.
    """
    u = as_images("displacement", displacement)
    if u.shape[1] != 3:
        raise ValueError(f"displacement must have three components, (B, 3, X, Y, Z), not {tuple(u.shape)}")
    return u


def as_pair(fixed: Tensor, moving: Tensor) -> tuple[Tensor, Tensor]:
    """Check two batches of images that are compared voxel by voxel, and give them one type.

    Raises:
        TypeError: not floating point.
        ValueError: shapes or devices that differ.
    """
    fixed, moving = as_images("fixed", fixed), as_images("moving", moving)
    if fixed.shape != moving.shape:
        raise ValueError(f"fixed and moving must have one shape, not {tuple(fixed.shape)} and {tuple(moving.shape)}")
    if fixed.device != moving.device:
        raise ValueError(f"fixed and moving must be on one device, not {fixed.device} and {moving.device}")
    dtype = torch.promote_types(fixed.dtype, moving.dtype)
    return fixed.to(dtype), moving.to(dtype)


def as_mask(mask: Tensor | None, image: Tensor) -> Tensor | None:
    """Check a mask and spread it over the channels: (B, 1 or C, X, Y, Z) to bool of the image's shape.

    Raises:
        ValueError: a shape that does not fit the image's.
    """
    if mask is None:
        return None
    if mask.ndim != 5 or mask.shape[0] not in (1, image.shape[0]) or mask.shape[1] not in (1, image.shape[1]):
        raise ValueError(f"mask of shape {tuple(mask.shape)} does not fit images of shape {tuple(image.shape)}")
    if mask.shape[2:] != image.shape[2:]:
        raise ValueError(f"mask of shape {tuple(mask.shape)} does not fit images of shape {tuple(image.shape)}")
    return (mask > 0.5 if mask.is_floating_point() else mask.bool()).expand(image.shape)


def as_sizes(spacing: Sequence[float] | None) -> tuple[float, float, float]:
    """Check a voxel size in mm; None stands for voxels.

    Raises:
        ValueError: not three positive numbers.
    """
    if spacing is None:
        return (1.0, 1.0, 1.0)
    sizes = tuple(float(size) for size in spacing)
    if len(sizes) != 3 or not all(size > 0 for size in sizes):
        raise ValueError(f"spacing must be three positive numbers, not {tuple(spacing)}")
    return (sizes[0], sizes[1], sizes[2])


def has_kernel(image: Tensor) -> bool:
    """Whether the compiled kernels serve this tensor; else the plain torch form does."""
    return image.device.type == "cpu" and image.dtype == torch.float32


def as_volumes(images: Tensor) -> NDArray[Any]:
    """(B, C, X, Y, Z) on the CPU to a contiguous (B·C, X, Y, Z) array; shares memory where the layout allows."""
    return images.detach().contiguous().flatten(0, 1).numpy()


def from_volumes(volumes: NDArray[Any] | None, like: Tensor) -> Tensor | None:
    """The way back: (B·C, X, Y, Z) to a tensor of the shape of `like`, sharing memory."""
    return None if volumes is None else torch.from_numpy(volumes).view(like.shape)


def scaled(gradient: Tensor | None, upstream: Tensor) -> Tensor | None:
    """A kept gradient times the scalar that comes back; a loss of weight 1 needs no copy."""
    if gradient is None or upstream.item() == 1:
        return gradient
    return gradient * upstream

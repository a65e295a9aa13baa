"""The spatial transformer, and what else a displacement field needs inside a network."""

from __future__ import annotations

from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from wssamnet.kernels import warping
from wssamnet.losses.checks import as_displacement, as_images, has_kernel
from wssamnet.models.doubling import doubled

Outside = Literal["zero", "border"]


def _fitting(image: Tensor, displacement: Tensor) -> tuple[Tensor, Tensor]:
    """A checked pair; half precision as float32: bfloat16 counts voxels beyond 256 in twos."""
    image, displacement = as_images("image", image), as_displacement(displacement)
    if len(image) != len(displacement):
        raise ValueError(f"image and displacement must have one batch size, not {len(image)} and {len(displacement)}")
    return image, displacement


def _cube_points(displacement: Tensor, shape: torch.Size) -> Tensor:
    """(B, X', Y', Z', 3): where each voxel reads, in torch's kji order, -1 and +1 at the outer faces of the image."""
    points = []
    for axis in (2, 1, 0):
        scale = 2 / shape[axis]  # faces, not centres: an axis of one voxel has two faces but no extent between centres
        size = displacement.shape[axis + 2]
        line = torch.arange(size, dtype=displacement.dtype, device=displacement.device) * scale + (scale / 2 - 1)
        view = [1, 1, 1]
        view[axis] = -1
        points.append(torch.addcmul(line.view(view), displacement[:, axis], displacement.new_tensor(scale)))
    return torch.stack(points, dim=-1)


def warp_reference(image: Tensor, displacement: Tensor, *, outside: Outside = "zero") -> Tensor:
    """`warp` by torch's ``grid_sample``: for every device and float type. Half precision is computed in float32."""
    return _sampled(*_fitting(image, displacement), outside).to(image.dtype)


def _sampled(image: Tensor, displacement: Tensor, outside: Outside) -> Tensor:
    points = _cube_points(displacement, image.shape[2:])
    padding = "zeros" if outside == "zero" else "border"
    warped: Tensor = F.grid_sample(image, points, "bilinear", padding_mode=padding, align_corners=False)
    return warped


class _Warp(torch.autograd.Function):
    """The warp by the compiled kernels; nothing but its two inputs is kept for the gradients."""

    @staticmethod
    def forward(ctx: Any, image: Tensor, displacement: Tensor, outside: Outside) -> Tensor:
        image, displacement = image.detach().contiguous(), displacement.detach().contiguous()
        ctx.save_for_backward(image, displacement)
        ctx.outside = outside
        out = [warping.warp(i, u, outside=outside) for i, u in _items(image, displacement)]
        return _joined(out)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
        image, displacement = ctx.saved_tensors
        items = list(zip(_items(image, displacement), upstream.contiguous().numpy(), strict=True))
        to_image = to_displacement = None
        if ctx.needs_input_grad[0]:
            shape = image.shape[2:]
            to_image = _joined([warping.gradient_to_image(shape, u, g, outside=ctx.outside) for (_, u), g in items])
        if ctx.needs_input_grad[1]:
            found = [warping.gradient_to_displacement(i, u, g, outside=ctx.outside) for (i, u), g in items]
            to_displacement = _joined(found)
        return to_image, to_displacement, None


def _items(image: Tensor, displacement: Tensor) -> Any:
    """The batch's items as arrays that share its memory."""
    return zip(image.numpy(), displacement.numpy(), strict=True)


def _joined(items: list[Any]) -> Tensor:
    """A batch of arrays; one alone is not copied."""
    tensors = [torch.from_numpy(item) for item in items]
    return tensors[0][None] if len(tensors) == 1 else torch.stack(tensors)


def warp(image: Tensor, displacement: Tensor, *, outside: Outside = "zero") -> Tensor:
    """Read an image at displaced places (Jaderberg et al. 2015), trilinear.

    float32 on a CPU runs compiled kernels on all threads, whose bits do not depend on how many there are, and can
    be differentiated once; everything else runs `warp_reference`.

    Args:
        image: (B, C, X, Y, Z), the moving image.
        displacement: (B, 3, X', Y', Z'), voxels in ijk order, pull-back: out(x) = image(x + u(x)).
        outside: what lies beyond the image: 0, or its border value.

    Returns:
        (B, C, X', Y', Z'), of the image's dtype.

    Raises:
        TypeError: not floating-point tensors.
        ValueError: shapes other than these.
    """
    fitting = _fitting(image, displacement)
    if has_kernel(image) and has_kernel(displacement):
        return _Warp.apply(*fitting, outside)  # type: ignore[no-any-return]
    return _sampled(*fitting, outside).to(image.dtype)


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
    return doubled(displacement) * 2

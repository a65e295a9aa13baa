"""Instance norm and LeakyReLU as one step of a network."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor
from torch.autograd.function import once_differentiable

from wssamnet.kernels import normalisation as kernel


def normalise(x: Tensor, weight: Tensor, bias: Tensor, *, epsilon: float, slope: float) -> Tensor:
    """Instance norm with scale and shift, then LeakyReLU.

    float32 on a CPU in channels-last memory runs one compiled pass each way, and can be differentiated once;
    everything else runs torch's ``group_norm`` and ``leaky_relu``.

    Args:
        x: (B, C, X, Y, Z).
        weight, bias: (C,).
        epsilon: added to the variance.
        slope: of the LeakyReLU below 0, in [0, 1].

    Returns:
        (B, C, X, Y, Z).
    """
    if (
        x.device.type == "cpu"
        and x.dtype == weight.dtype == torch.float32
        and x.is_contiguous(memory_format=torch.channels_last_3d)
    ):
        return _Normalise.apply(x, weight, bias, epsilon, slope)  # type: ignore[no-any-return]
    return normalise_reference(x, weight, bias, epsilon=epsilon, slope=slope)


def normalise_reference(x: Tensor, weight: Tensor, bias: Tensor, *, epsilon: float, slope: float) -> Tensor:
    """The same in plain torch. A group a channel *is* instance norm, and unlike ``instance_norm`` torch computes it
    in channels-last memory without a copy."""
    return F.leaky_relu(F.group_norm(x, len(weight), weight, bias, epsilon), slope)


def _planes(image: Tensor) -> NDArray[Any]:
    """(B, C, X, Y, Z) in channels-last memory as (B, X, Y·Z·C), sharing it."""
    return image.detach().permute(0, 2, 3, 4, 1).flatten(2).numpy()


class _Normalise(torch.autograd.Function):
    """By the compiled kernels; only the layer's input is kept."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, epsilon: float, slope: float) -> Tensor:
        out = torch.empty_like(x, memory_format=torch.channels_last_3d)
        parameters = weight.detach().numpy(), bias.detach().numpy()
        items = zip(_planes(x), _planes(out), strict=True)
        ctx.statistics = [kernel.normalise(i, *parameters, o, epsilon=epsilon, slope=slope) for i, o in items]
        ctx.slope = slope
        ctx.save_for_backward(x, weight, bias)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, bias = ctx.saved_tensors
        out = torch.empty_like(x, memory_format=torch.channels_last_3d)
        parameters = weight.detach().numpy(), bias.detach().numpy()
        upstream = upstream.contiguous(memory_format=torch.channels_last_3d)
        items = zip(_planes(x), ctx.statistics, _planes(upstream), _planes(out), strict=True)
        found = [kernel.gradients(i, s, *parameters, g, o, slope=ctx.slope) for i, s, g, o in items]
        to_weight, to_bias = (torch.from_numpy(sum(part)).to(x.dtype) for part in zip(*found, strict=True))
        return out, to_weight, to_bias, None, None

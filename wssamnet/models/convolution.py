"""A 3x3x3 convolution that never meets torch's slow path on a CPU."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor, nn

_SLOW_BELOW = 20480  # torch takes slow_conv3d for a batch of one whose channels·X·Y are not above this


def needs_second_item(image: Tensor) -> bool:
    """Whether torch would convolve (B, C, X, Y, Z) through `slow_conv3d`, up to 14 times slower."""
    batch, channels, x, y, _ = image.shape
    return batch == 1 and channels * x * y <= _SLOW_BELOW and image.device.type == "cpu"


def in_bfloat16(wanted: bool) -> AbstractContextManager[Any]:
    """Convolve in bfloat16 on a processor with instructions for it, which takes half the time; sums stay float32.

    Args:
        wanted: False changes nothing, as a processor without such instructions does.
    """
    capabilities = getattr(torch.cpu, "get_capabilities", None)  # an older torch cannot tell
    native = capabilities is not None and bool(capabilities().get("avx512_bf16"))
    return torch.autocast("cpu", torch.bfloat16, enabled=wanted and native)


class Convolution(nn.Conv3d):
    """``nn.Conv3d``, kernel 3, same size; a lone small item is convolved twice, which is the faster way.

    Args:
        in_channels, out_channels: channels of (B, C, X, Y, Z).
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(in_channels, out_channels, kernel_size=3, padding=1)

    def forward(self, input: Tensor) -> Tensor:
        """(B, in_channels, X, Y, Z) → (B, out_channels, X, Y, Z), on a CPU of the input's own type."""
        if needs_second_item(input):
            found = super().forward(input.expand(2, -1, -1, -1, -1))[:1]
        else:
            found = super().forward(input)
        return found.to(input.dtype) if input.device.type == "cpu" else found  # `in_bfloat16` gives bfloat16

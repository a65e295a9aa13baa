"""Doubling: the kernel against torch, and its gradient."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from wssamnet.models.doubling import doubled


@pytest.mark.parametrize("shape", [(1, 3, 5, 4, 6), (2, 1, 3, 1, 2), (2, 3, 2, 2, 7)])
@pytest.mark.parametrize("channels_last", [False, True])
def test_doubling_agrees_with_torch(shape: tuple[int, ...], channels_last: bool) -> None:
    image = torch.rand(shape, generator=torch.Generator().manual_seed(0))
    if channels_last:
        image = image.to(memory_format=torch.channels_last_3d)
    expected = F.interpolate(image, scale_factor=2, mode="trilinear", align_corners=False)
    torch.testing.assert_close(doubled(image), expected)
    asked = image.clone().requires_grad_()
    doubled(asked).square().sum().backward()
    again = image.clone().requires_grad_()
    F.interpolate(again, scale_factor=2, mode="trilinear", align_corners=False).square().sum().backward()
    torch.testing.assert_close(asked.grad, again.grad)

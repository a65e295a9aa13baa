"""The examples of docs/losses.md run as they stand there, and their losses are what they say."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from wssamnet.losses import lncc, mutual_information, smoothness
from wssamnet.models.warp import warp_reference

TEXT = (Path(__file__).parents[3] / "docs" / "losses.md").read_text(encoding="utf-8")
VOXELMORPH, MONAI = re.findall(r"^```python\n(.*?)^```", TEXT, flags=re.MULTILINE | re.DOTALL)


def ran(code: str) -> dict[str, Any]:
    torch.manual_seed(0)
    names: dict[str, Any] = {}
    exec(code, names)
    return names


def test_a_voxelmorph_training_learns_by_these_losses() -> None:
    names = ran(VOXELMORPH)
    with torch.no_grad():
        displacement, warped = names["model"](names["moving"], names["fixed"], return_warped_source=True)
    fixed = names["fixed"]
    after = lncc(fixed, warped) + 0.5 * mutual_information(fixed, warped) + smoothness(displacement)
    assert after < names["loss"]


def test_a_monai_network_gets_the_gradients_of_plain_torch() -> None:
    names = ran(MONAI)
    ours = [parameter.grad.clone() for parameter in names["model"].parameters()]
    assert any(gradient.abs().max() > 0 for gradient in ours)
    names["model"].zero_grad()
    fixed, moving = (names[name].double() for name in ("fixed", "moving"))
    model = names["model"].double()
    u = model(torch.cat((fixed, moving), dim=1))
    plain = lncc(fixed, warp_reference(moving, u), mask=fixed > 0.1) + smoothness(u)
    plain.backward()
    assert names["loss"].item() == pytest.approx(plain.item(), rel=1e-4)
    for own, parameter in zip(ours, model.parameters(), strict=True):
        scale = float(parameter.grad.abs().max())
        torch.testing.assert_close(own.double(), parameter.grad, rtol=0.02, atol=0.01 * scale + 1e-7)


def test_the_losses_stand_inside_autocast() -> None:
    torch.manual_seed(1)
    fixed, moving = torch.rand(2, 1, 1, 16, 17, 15)
    moving.requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        low = moving.to(torch.bfloat16)
        loss = lncc(fixed, low) + mutual_information(fixed, low)
    loss.backward()
    assert loss.dtype == torch.float32
    assert moving.grad is not None
    assert torch.isfinite(moving.grad).all()
    assert moving.grad.abs().max() > 0

from __future__ import annotations

import math

import pytest
import torch
from monai.losses import FocalLoss
from wssamnet.losses import focal


def test_known_number() -> None:
    logits = torch.full((1, 1, 2, 2, 2), math.log(3))  # p = 3/4
    inside, outside = torch.ones_like(logits), torch.zeros_like(logits)
    assert focal(logits, inside).item() == pytest.approx(-(0.25**2) * math.log(0.75))
    assert focal(logits, outside).item() == pytest.approx(-(0.75**2) * math.log(0.25))
    assert focal(logits, inside, gamma=0).item() == pytest.approx(-math.log(0.75))


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0, 3.0])
def test_agrees_with_monai(gamma: float) -> None:
    logits, target = torch.randn(2, 2, 5, 4, 3), (torch.rand(2, 2, 5, 4, 3) > 0.7).float()
    assert focal(logits, target, gamma=gamma).item() == pytest.approx(
        FocalLoss(gamma=gamma)(logits, target).item(), rel=1e-5
    )


def test_gradient() -> None:
    logits = torch.randn(1, 1, 3, 4, 2, dtype=torch.float64, requires_grad=True)
    target = torch.rand(1, 1, 3, 4, 2) > 0.5
    assert torch.autograd.gradcheck(lambda v: focal(v, target), logits)


def test_extreme_logits_neither_overflow_nor_lose_their_gradient() -> None:
    logits = torch.tensor([-1e4, 1e4, -30.0, 30.0]).view(1, 1, 4, 1, 1).requires_grad_()
    loss = focal(logits, torch.ones(1, 1, 4, 1, 1), gamma=0.5)
    (gradient,) = torch.autograd.grad(loss, logits)
    assert loss.isfinite()
    assert gradient.isfinite().all()
    assert gradient[0, 0, 0].item() == pytest.approx(-0.25)


def test_mask() -> None:
    logits, target = torch.randn(2, 1, 4, 4, 4), torch.rand(2, 1, 4, 4, 4) > 0.5
    mask = torch.zeros(2, 1, 4, 4, 4, dtype=torch.bool)
    mask[:, :, :2] = True
    torch.testing.assert_close(focal(logits, target, mask=mask), focal(logits[:, :, :2], target[:, :, :2]))
    assert focal(logits, target, mask=~mask & mask).item() == 0


def test_says_what_is_wrong() -> None:
    logits = torch.zeros(1, 1, 2, 2, 2)
    with pytest.raises(ValueError, match="target must have the logits' shape"):
        focal(logits, torch.zeros(1, 1, 2, 2, 3))
    with pytest.raises(ValueError, match="gamma must be at least 0, not -1"):
        focal(logits, logits, gamma=-1)
    with pytest.raises(TypeError, match="logits must be floating point"):
        focal(logits.int(), logits)

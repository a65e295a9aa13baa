from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from wssamnet.losses import mutual_information
from wssamnet.losses.mutual_information import mutual_information_reference

shapes = st.tuples(st.integers(1, 2), st.integers(1, 2), *[st.integers(1, 9)] * 3)


def images(shape: tuple[int, ...], seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    fixed = torch.randn(shape, generator=generator)  # signed, as a LoG image is
    return fixed, fixed.square() + 0.3 * torch.randn(shape, generator=generator)


def by_hand(a: np.ndarray, b: np.ndarray, bins: int) -> float:
    """MI of a histogram filled voxel by voxel."""
    p = np.zeros((bins, bins))
    s, t = (
        (bins - 1) * (v - v.min()) / (v.max() - v.min()) for v in (a.ravel().astype(float), b.ravel().astype(float))
    )
    for x, y in zip(s, t, strict=True):
        i, j = min(int(x), bins - 2), min(int(y), bins - 2)
        p[i : i + 2, j : j + 2] += np.outer([1 - x + i, x - i], [1 - y + j, y - j])
    p /= p.sum()
    independent = np.outer(p.sum(1), p.sum(0))
    return float((p[p > 0] * np.log(p[p > 0] / independent[p > 0])).sum())


@pytest.mark.parametrize("bins", [2, 8, 32])
def test_equals_the_definition(bins: int) -> None:
    fixed, moving = images((1, 1, 11, 9, 10))
    expected = -by_hand(fixed.numpy(), moving.numpy(), bins)
    assert mutual_information(fixed, moving, bins=bins).item() == pytest.approx(expected, abs=2e-4)


def test_known_numbers() -> None:
    two = torch.tensor([1.0, 2.0]).repeat(32).view(1, 1, 4, 4, 4)
    assert mutual_information(two, two, bins=2).item() == pytest.approx(-np.log(2), abs=1e-4)
    assert mutual_information(two, -5 * two, bins=2).item() == pytest.approx(-np.log(2), abs=1e-4)
    unrelated = torch.tensor([1.0, 1.0, 2.0, 2.0]).repeat(16).view(1, 1, 4, 4, 4)
    assert mutual_information(two, unrelated, bins=2).item() == pytest.approx(0, abs=1e-6)
    assert mutual_information(two, torch.full_like(two, 3.0)).item() == 0


@settings(max_examples=40, deadline=None)
@given(shapes, st.sampled_from([2, 5, 32]), st.booleans(), st.integers(0, 10**6))
def test_kernel_and_reference_agree(shape: tuple[int, ...], bins: int, masked: bool, seed: int) -> None:
    fixed, moving = images(shape, seed)
    fixed[..., : shape[4] // 2], moving[..., : shape[4] // 3] = 0, 0
    mask = (fixed * moving)[:, :1] > -0.5 if masked else None
    # values alone: in a histogram this empty rounding may decide on which side of a kink a voxel lies
    value = mutual_information(fixed, moving, bins=bins, mask=mask)
    expected = mutual_information(fixed.double(), moving.double(), bins=bins, mask=mask)
    torch.testing.assert_close(value.double(), expected, rtol=1e-4, atol=1e-4)


def test_gradient_of_the_kernel() -> None:
    fixed, moving = images((2, 1, 12, 13, 14))
    mask = fixed > -1
    gradients = []
    for dtype in (torch.float32, torch.float64):
        a, b = fixed.to(dtype).requires_grad_(), moving.to(dtype).requires_grad_()
        loss = mutual_information(a, b, bins=8, mask=mask)
        gradients.append([g.double() for g in torch.autograd.grad(loss, (a, b))])
    for ours, theirs in zip(*gradients, strict=True):
        assert theirs.abs().max() > 0
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-3 * float(theirs.abs().max()))


def test_reference_agrees_with_finite_differences() -> None:
    fixed, moving = (image.double() for image in images((1, 1, 4, 5, 6)))
    moving.requires_grad_()
    (gradient,) = torch.autograd.grad(mutual_information_reference(fixed, moving, 6, None), moving)
    # -MI has kinks where a value meets a bin's centre and at the smallest and largest value: look elsewhere
    position = (moving - moving.min()) / (moving.max() - moving.min()) * 5
    away = ((position - position.round()).abs() > 1e-3).flatten().nonzero().flatten()[:40]
    for index in away.tolist():
        values = []
        for sign in (1, -1):
            shifted = moving.detach().clone()
            shifted.view(-1)[index] += sign * 1e-5
            values.append(mutual_information_reference(fixed, shifted, 6, None).item())
        assert gradient.view(-1)[index].item() == pytest.approx((values[0] - values[1]) / 2e-5, rel=1e-4, abs=1e-7)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_background_is_left_alone(dtype: torch.dtype) -> None:
    fixed, moving = (image.to(dtype) for image in images((1, 1, 8, 8, 8)))
    fixed[..., :4], moving[..., :3] = 0, 0
    moving.requires_grad_()
    loss = mutual_information(fixed, moving, bins=8)
    (gradient,) = torch.autograd.grad(loss, moving)
    assert not gradient[..., :3].any()
    assert gradient[..., 3:].any()
    cropped = mutual_information(fixed[..., 3:], moving[..., 3:], bins=8)
    assert cropped.item() == pytest.approx(loss.item(), rel=1e-5)  # zero in both: not counted


def test_scale_and_sign_do_not_matter() -> None:
    fixed, moving = images((1, 1, 8, 8, 8))
    torch.testing.assert_close(
        mutual_information(fixed, moving), mutual_information(100 * fixed, -0.01 * moving), rtol=1e-3, atol=1e-3
    )


@pytest.mark.parametrize("scale", [1e-38, 1e-42, 2e38])
def test_a_range_that_float32_cannot_divide_says_nothing(scale: float) -> None:
    fixed, moving = images((1, 1, 6, 7, 5))
    fixed = (fixed / fixed.abs().max() * scale).requires_grad_()  # to 2e38: its width is beyond the largest number
    for loss in (mutual_information(fixed, moving), mutual_information_reference(fixed, moving, 32, None)):
        fixed.grad = None
        loss.backward()
        assert loss == 0
        assert fixed.grad is not None
        assert not fixed.grad.any()


def test_not_finite_is_not_hidden() -> None:
    fixed, moving = images((1, 1, 4, 4, 4))
    moving[0, 0, 1, 1, 1] = torch.nan
    assert mutual_information(fixed, moving).isnan()


def test_layouts_precisions_and_modes() -> None:
    fixed, moving = images((2, 2, 6, 7, 8))
    expected = mutual_information(fixed, moving)
    last = [image.to(memory_format=torch.channels_last_3d) for image in (fixed, moving)]
    torch.testing.assert_close(mutual_information(*last), expected)
    half = moving.half().requires_grad_()
    loss = mutual_information(fixed, half)
    assert torch.autograd.grad(loss, half)[0].dtype == torch.float16
    with torch.no_grad():
        assert not mutual_information(fixed, half).requires_grad
    empty = mutual_information(fixed, moving.requires_grad_(), mask=torch.zeros(2, 1, 6, 7, 8))
    assert empty.item() == 0


def test_says_what_is_wrong() -> None:
    image = torch.ones(1, 1, 4, 4, 4)
    with pytest.raises(ValueError, match="bins must be at least 2, not 1"):
        mutual_information(image, image, bins=1)
    with pytest.raises(ValueError, match=r"moving must have the shape \(B, C, X, Y, Z\)"):
        mutual_information(image, image[0])

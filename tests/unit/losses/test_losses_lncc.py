from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from monai.losses import LocalNormalizedCrossCorrelationLoss
from neurite.nn.modules import NCC
from torch import Tensor
from wssamnet.losses import lncc
from wssamnet.losses.lncc import EPSILON, lncc_reference

shapes = st.tuples(st.integers(1, 3), st.integers(1, 2), *[st.integers(1, 13)] * 3)


def images(shape: tuple[int, ...], seed: int = 0, noise: float = 0.4) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    fixed = torch.rand(shape, generator=generator)
    return fixed, 0.7 * fixed + noise * torch.rand(shape, generator=generator)


def by_hand(a: np.ndarray, b: np.ndarray, window: int, squared: bool) -> float:
    """Equation 2, window after window, in double precision."""
    r, total = window // 2, 0.0
    a, b = np.pad(a.astype(float), r), np.pad(b.astype(float), r)
    for i, j, k in np.ndindex(*(n - 2 * r for n in a.shape)):
        p, q = (v[i : i + window, j : j + window, k : k + window] for v in (a, b))
        p, q = p - p.mean(), q - q.mean()
        cross, product = (p * q).sum(), (p**2).sum() * (q**2).sum()
        total += cross**2 / (product + EPSILON) if squared else cross / np.sqrt(product + EPSILON)
    return -total / np.prod([n - 2 * r for n in a.shape])


@pytest.mark.parametrize("squared", [True, False])
@pytest.mark.parametrize("window", [3, 5, 9])
def test_equals_the_definition(window: int, squared: bool) -> None:
    fixed, moving = images((1, 1, 7, 4, 10))
    expected = by_hand(fixed[0, 0].numpy(), moving[0, 0].numpy(), window, squared)
    assert lncc(fixed, moving, window=window, squared=squared).item() == pytest.approx(expected, rel=1e-5)


def test_agrees_with_voxelmorph_and_monai() -> None:
    fixed, moving = images((2, 2, 13, 11, 12))
    moving.requires_grad_()
    (ours,) = torch.autograd.grad(lncc(fixed, moving), moving)
    (theirs,) = torch.autograd.grad(-NCC(9)(fixed, moving).sum(), moving)
    torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-3 * float(theirs.abs().max()))
    monai = LocalNormalizedCrossCorrelationLoss(spatial_dims=3, kernel_size=9)(moving, fixed)
    assert lncc(fixed, moving).item() == pytest.approx(monai.item(), rel=1e-4)


def test_known_numbers() -> None:
    fixed, _ = images((1, 1, 9, 9, 9))
    assert lncc(fixed, 2 * fixed, window=3).item() == pytest.approx(-1, abs=1e-3)
    assert lncc(fixed, -fixed, window=3).item() == pytest.approx(-1, abs=1e-3)
    assert lncc(fixed, -fixed, window=3, squared=False).item() == pytest.approx(1, abs=1e-3)


@settings(max_examples=40, deadline=None)
@given(shapes, st.sampled_from([1, 3, 5, 7, 9]), st.booleans(), st.booleans(), st.integers(0, 10**6))
def test_kernel_and_reference_agree(
    shape: tuple[int, ...], window: int, squared: bool, masked: bool, seed: int
) -> None:
    fixed, moving = images(shape, seed)
    fixed[..., : shape[2] // 2, :, :] = 0.7  # a flat patch
    for image in (fixed, moving):  # background, which the kernel passes over
        image[:, :, :, : shape[3] // 3] = 0
        image[:, :, shape[2] // 2 :, shape[3] - shape[3] // 4 :] = 0
        image[:, :, shape[2] - shape[2] // 3 :] = 0
    mask = fixed[:, :1] > 0.3 if masked else None
    found, expected = [], []
    for dtype, into in ((torch.float32, found), (torch.float64, expected)):
        a, b = fixed.to(dtype).requires_grad_(), moving.to(dtype).requires_grad_()
        loss = lncc(a, b, window=window, squared=squared, mask=mask)
        into += [loss.detach().double(), *(g.double() for g in torch.autograd.grad(loss, (a, b)))]
    torch.testing.assert_close(found[0], expected[0], rtol=2e-4, atol=1e-6)
    size = 1 / fixed.numel()  # the gradient's natural size: windows that correlate perfectly leave only rounding
    for ours, theirs in zip(found[1:], expected[1:], strict=True):
        torch.testing.assert_close(ours, theirs, rtol=2e-3, atol=2e-3 * max(float(theirs.abs().max()), size))


@pytest.mark.parametrize("squared", [True, False])
def test_reference_passes_gradcheck(squared: bool) -> None:
    fixed, moving = (image.double().requires_grad_() for image in images((1, 2, 4, 3, 5)))
    mask = torch.rand(1, 1, 4, 3, 5) > 0.3
    assert torch.autograd.gradcheck(lambda a, b: lncc(a, b, window=3, squared=squared, mask=mask), (fixed, moving))


@pytest.mark.parametrize("level", [0.0, 0.7, 300.0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_flat_patch_earns_nothing(level: float, dtype: torch.dtype) -> None:
    _, moving = images((1, 1, 12, 12, 12))
    moving = moving.to(dtype).requires_grad_()
    loss = lncc(torch.full_like(moving, level), moving, window=3, mask=inner(12, 1))
    (gradient,) = torch.autograd.grad(loss, moving)
    assert loss.item() == 0
    assert not gradient.any()


def inner(size: int, margin: int) -> Tensor:
    """A mask whose windows do not reach the zeros beyond the edge."""
    mask = torch.zeros(1, 1, size, size, size, dtype=torch.bool)
    mask[..., margin:-margin, margin:-margin, margin:-margin] = True
    return mask


def test_layouts_precisions_and_modes() -> None:
    fixed, moving = images((2, 2, 6, 7, 8))
    expected = lncc(fixed, moving, window=5)
    last = [image.to(memory_format=torch.channels_last_3d).requires_grad_() for image in (fixed, moving)]
    loss = lncc(*last, window=5)
    torch.testing.assert_close(loss, expected)
    assert torch.autograd.grad(loss, last[1])[0].shape == moving.shape
    with torch.no_grad():
        assert lncc(last[0], last[1], window=5).item() == expected.item()
    half = moving.half().requires_grad_()
    loss = lncc(fixed.half(), half, window=5)
    assert loss.dtype == torch.float32
    assert torch.autograd.grad(loss, half)[0].dtype == torch.float16
    torch.testing.assert_close(loss, expected, rtol=2e-2, atol=1e-3)


def test_the_gradient_may_be_taken_twice_in_a_row_and_is_scaled() -> None:
    fixed, moving = images((1, 1, 6, 6, 6))
    moving.requires_grad_()
    loss = lncc(fixed, moving, window=3)
    (once,) = torch.autograd.grad(loss, moving, retain_graph=True)
    (thrice,) = torch.autograd.grad(3 * loss, moving)
    torch.testing.assert_close(thrice, 3 * once)


def test_an_empty_mask_is_zero() -> None:
    fixed, moving = images((1, 1, 4, 4, 4))
    assert lncc(fixed, moving, mask=torch.zeros(1, 1, 4, 4, 4)).item() == 0
    assert lncc_reference(fixed, moving, 3, True, torch.zeros(1, 1, 4, 4, 4, dtype=torch.bool)).item() == 0


@pytest.mark.parametrize(
    ("fixed", "moving", "options", "error", "words"),
    [
        ((4, 4, 4), (4, 4, 4), {}, ValueError, r"fixed must have the shape \(B, C, X, Y, Z\).*\(4, 4, 4\)"),
        ((1, 1, 4, 4, 4), (1, 1, 4, 4, 5), {}, ValueError, "one shape"),
        ((1, 1, 4, 4, 4), (1, 1, 4, 4, 4), {"window": 4}, ValueError, "odd positive number of voxels, not 4"),
        ((1, 1, 4, 4, 4), (1, 1, 4, 4, 4), {"mask": torch.ones(4, 4, 4)}, ValueError, "mask of shape"),
    ],
)
def test_says_what_is_wrong(
    fixed: tuple[int, ...], moving: tuple[int, ...], options: dict[str, object], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        lncc(torch.ones(fixed), torch.ones(moving), **options)  # type: ignore[arg-type]


def test_refuses_what_is_no_floating_point_tensor() -> None:
    with pytest.raises(TypeError, match=r"moving must be floating point, not torch\.int64"):
        lncc(torch.ones(1, 1, 3, 3, 3), torch.ones(1, 1, 3, 3, 3, dtype=torch.int64))
    with pytest.raises(TypeError, match="fixed must be a torch tensor, not ndarray"):
        lncc(np.ones((1, 1, 3, 3, 3)), torch.ones(1, 1, 3, 3, 3))  # type: ignore[arg-type]

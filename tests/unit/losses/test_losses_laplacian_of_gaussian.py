from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_laplace
from wssamnet.losses import laplacian_of_gaussian

sigmas = st.one_of(st.floats(0.3, 2.5), st.tuples(*[st.floats(0.3, 2.5)] * 3))


@settings(max_examples=30, deadline=None)
@given(st.tuples(st.integers(1, 2), st.integers(1, 2), *[st.integers(1, 14)] * 3), sigmas, st.integers(0, 10**6))
def test_equals_scipy(shape: tuple[int, ...], sigma: float | tuple[float, ...], seed: int) -> None:
    image = np.random.default_rng(seed).normal(size=shape)
    expected = np.stack([[gaussian_laplace(c, sigma, mode="constant") for c in item] for item in image])
    for dtype, tolerance in ((torch.float32, 1e-5), (torch.float64, 1e-12)):
        found = laplacian_of_gaussian(torch.tensor(image, dtype=dtype), sigma=sigma)
        assert found.dtype == dtype
        np.testing.assert_allclose(found.numpy(), expected, rtol=0, atol=tolerance * np.abs(expected).max())


def test_known_number() -> None:
    x = torch.arange(41.0) - 20
    square = (x**2).view(41, 1, 1) + (x**2).view(1, 41, 1) + (x**2).view(1, 1, 41)
    middle = laplacian_of_gaussian(square[None, None], sigma=1.5)[0, 0, 20, 20, 20]
    assert middle.item() == pytest.approx(6, rel=1e-2)  # Δ(x² + y² + z²), away from the edge


def test_normalised_is_sigma_squared_times_it() -> None:
    image = torch.rand(1, 1, 9, 8, 7)
    plain = laplacian_of_gaussian(image, sigma=1.3)
    torch.testing.assert_close(laplacian_of_gaussian(image, sigma=1.3, normalised=True), 1.3**2 * plain)


def test_one_length_in_mm_on_an_anisotropic_grid() -> None:
    """The same object on two grids: the normalised form sees the same edges."""
    z = torch.arange(-24, 25.0)

    def ball(step: int) -> torch.Tensor:
        squares = z.view(-1, 1, 1) ** 2 + z.view(1, -1, 1) ** 2 + z[::step].view(1, 1, -1) ** 2
        return (-squares / 50).exp()

    fine = laplacian_of_gaussian(ball(1)[None, None], sigma=3.0, normalised=True)
    coarse = laplacian_of_gaussian(ball(2)[None, None], sigma=(3.0, 3.0, 1.5), normalised=True)
    torch.testing.assert_close(coarse, fine[..., ::2], rtol=0, atol=0.01 * float(fine.abs().max()))


def test_gradients() -> None:
    image = torch.rand(1, 2, 4, 5, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda v: laplacian_of_gaussian(v, sigma=(0.8, 1.2, 0.5)), image)
    weights = torch.rand(1, 2, 4, 5, 3)
    single = image.detach().float().requires_grad_()
    (ours,) = torch.autograd.grad((laplacian_of_gaussian(single, sigma=0.8) * weights).sum(), single)
    (theirs,) = torch.autograd.grad((laplacian_of_gaussian(image, sigma=0.8) * weights).sum(), image)
    torch.testing.assert_close(ours, theirs.float(), rtol=1e-4, atol=1e-5)


def test_layouts_and_precisions() -> None:
    image = torch.rand(2, 3, 6, 7, 8)
    expected = laplacian_of_gaussian(image, sigma=1)
    last = image.to(memory_format=torch.channels_last_3d).requires_grad_()
    found = laplacian_of_gaussian(last, sigma=1)
    torch.testing.assert_close(found, expected)
    found.sum().backward()
    half = laplacian_of_gaussian(image.bfloat16(), sigma=1)
    assert half.dtype == torch.float32


@pytest.mark.parametrize("sigma", [0.0, -1.0, (1.0, 2.0), (1.0, 0.0, 1.0)])
def test_says_what_is_wrong(sigma: float | tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="sigma must be one positive number or three, in voxels"):
        laplacian_of_gaussian(torch.rand(1, 1, 3, 3, 3), sigma=sigma)

"""Smoothing, Jacobian and warp against scipy, numpy and torch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter
from wssamnet.kernels.jacobian import determinant
from wssamnet.kernels.smoothing import gaussian
from wssamnet.kernels.warping import Outside, gradient_to_displacement, gradient_to_image, warp

sizes = st.tuples(*[st.integers(1, 12)] * 3)
seeds = st.integers(0, 10**6)


@settings(max_examples=40, deadline=None)
@given(sizes, st.integers(1, 4), st.tuples(*[st.one_of(st.just(0.0), st.floats(0.2, 5))] * 3), seeds)
def test_gaussian_equals_scipy(
    shape: tuple[int, int, int], channels: int, sigma: tuple[float, float, float], seed: int
) -> None:
    field = np.random.default_rng(seed).normal(size=(*shape, channels)).astype(np.float32)
    expected = gaussian_filter(field.astype(float), (*sigma, 0))
    np.testing.assert_allclose(gaussian(field, sigma), expected, rtol=0, atol=1e-5)


def test_gaussian_keeps_constants_and_takes_one_sigma() -> None:
    field = np.full((5, 6, 7, 3), 2.5, dtype=np.float32)
    np.testing.assert_allclose(gaussian(field, 1.5), field, rtol=1e-6)


@settings(max_examples=30, deadline=None)
@given(sizes, seeds)
def test_determinant_equals_numpy(shape: tuple[int, int, int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    u, m = rng.normal(size=(*shape, 3)).astype(np.float32), rng.normal(size=(3, 3))
    slopes = [np.gradient(u.astype(float), axis=a) if shape[a] > 1 else np.zeros(u.shape) for a in range(3)]
    expected = np.linalg.det(np.stack(slopes, axis=-1) @ m + np.eye(3))
    np.testing.assert_allclose(determinant(u, m), expected, rtol=1e-3, atol=1e-3)


def test_determinant_of_a_known_map() -> None:
    x = np.stack(np.meshgrid(*[np.arange(6.0)] * 3, indexing="ij"), axis=-1)
    u = (x @ np.diag([0.5, -0.5, 1.0])).astype(np.float32)
    np.testing.assert_allclose(determinant(u, np.eye(3)), 1.5 * 0.5 * 2.0, rtol=1e-6)


def by_torch(image: torch.Tensor, u: torch.Tensor, outside: Outside) -> torch.Tensor:
    """The same warp through `grid_sample`; it needs at least two voxels an axis."""
    axes = torch.meshgrid(*[torch.arange(n, dtype=u.dtype) for n in u.shape[1:]], indexing="ij")
    points = torch.stack([2 * (axes[a] + u[a]) / (image.shape[a + 1] - 1) - 1 for a in (2, 1, 0)], dim=-1)
    mode = "zeros" if outside == "zero" else "border"
    return F.grid_sample(image[None], points[None], padding_mode=mode, align_corners=True)[0]


@settings(max_examples=40, deadline=None)
@given(
    st.tuples(*[st.integers(2, 9)] * 3),
    st.tuples(*[st.integers(1, 9)] * 3),
    st.integers(1, 3),
    st.sampled_from(["zero", "border"]),
    st.sampled_from([np.float32, np.float64]),
    st.sampled_from([0.4, 2.0, 20.0]),
    seeds,
)
def test_warp_equals_grid_sample(
    image_shape: tuple[int, int, int],
    shape: tuple[int, int, int],
    channels: int,
    outside: Outside,
    dtype: type[np.floating],
    size: float,
    seed: int,
) -> None:
    rng = np.random.default_rng(seed)
    image = rng.normal(size=(channels, *image_shape)).astype(dtype)
    u = rng.normal(scale=size, size=(3, *shape)).astype(dtype)
    upstream = rng.normal(size=(channels, *shape)).astype(dtype)
    leaves = [torch.tensor(v, dtype=torch.float64, requires_grad=True) for v in (image, u)]
    expected = by_torch(*leaves, outside)
    to_image, to_u = torch.autograd.grad(expected, leaves, torch.tensor(upstream, dtype=torch.float64))
    tolerance = {"rtol": 0, "atol": 1e-4 if dtype == np.float32 else 1e-9}
    np.testing.assert_allclose(warp(image, u, outside=outside), expected.detach(), **tolerance)
    found = gradient_to_displacement(image, u, upstream, outside=outside)
    np.testing.assert_allclose(found, to_u, rtol=0, atol=10 * tolerance["atol"])
    found = gradient_to_image(image_shape, u, upstream, outside=outside)
    np.testing.assert_allclose(found, to_image, **tolerance)


def test_warp_of_known_displacements() -> None:
    image = np.arange(60, dtype=np.float32).reshape(1, 3, 4, 5)
    u = np.zeros((3, 3, 4, 5), dtype=np.float32)
    np.testing.assert_array_equal(warp(image, u), image)
    u[2] = 0.25
    np.testing.assert_array_equal(warp(image, u)[..., :-1], image[..., :-1] + 0.25)
    u[2] = 1
    assert (warp(image, u)[..., -1] == 0).all()
    np.testing.assert_array_equal(warp(image, u, outside="border")[..., -1], image[..., -1])


@pytest.mark.parametrize("outside", ["zero", "border"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e30])
def test_wild_displacements_read_no_foreign_memory(value: float, outside: Outside) -> None:
    image = np.ones((1, 4, 4, 4), dtype=np.float32)
    u = np.full((3, 4, 4, 4), value, dtype=np.float32)
    assert np.isin(warp(image, u, outside=outside), (0, 1)).all()
    assert (gradient_to_displacement(image, u, image, outside=outside) == 0).all()
    assert np.isfinite(gradient_to_image((4, 4, 4), u, image, outside=outside)).all()


def test_one_voxel_is_an_axis_too() -> None:
    image = np.full((1, 1, 1, 1), 3, dtype=np.float32)
    u = np.full((3, 1, 1, 1), 0.5, dtype=np.float32)
    assert warp(image, u)[0, 0, 0, 0] == pytest.approx(3 / 8)
    assert warp(image, u, outside="border")[0, 0, 0, 0] == 3

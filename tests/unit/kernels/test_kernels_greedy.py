"""Steps of the refinement against scipy, numpy and torch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import map_coordinates
from wssamnet.kernels.greedy import adam, add_force, compose, longest, warp

SHAPES = [(9, 10, 11), (1, 7, 5), (2, 2, 2)]


def field(shape: tuple[int, ...], seed: int, size: float = 2.0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-size, size, (*shape, 3)).astype(np.float32)


def positions(u: np.ndarray) -> np.ndarray:
    axes = np.meshgrid(*[np.arange(n) for n in u.shape[:3]], indexing="ij")
    return np.stack(axes) + np.moveaxis(u, -1, 0)


@pytest.mark.parametrize("shape", SHAPES)
def test_warp_agrees_with_scipy(shape: tuple[int, int, int]) -> None:
    image = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    u = field(shape, 1)
    expected = map_coordinates(image, positions(u), order=1, mode="nearest")
    np.testing.assert_allclose(warp(image, u, np.empty_like(image)), expected, atol=1e-5)


@pytest.mark.parametrize("shape", SHAPES)
def test_compose_is_step_then_field(shape: tuple[int, int, int]) -> None:
    u, v = field(shape, 2), field(shape, 3)
    there = positions(np.float32(0.3) * v)
    expected = 0.3 * v + np.stack([map_coordinates(u[..., c], there, order=1, mode="nearest") for c in range(3)], -1)
    np.testing.assert_allclose(compose(u, v, 0.3, np.empty_like(u)), expected, atol=1e-5)


def test_composing_with_nothing_changes_nothing() -> None:
    u = field((6, 7, 8), 4)
    np.testing.assert_array_equal(compose(u, np.zeros_like(u), 1.0, np.empty_like(u)), u)


def test_force_is_slope_times_image_gradient() -> None:
    rng = np.random.default_rng(5)
    slope, image = rng.normal(size=(2, 6, 7, 8)).astype(np.float32)
    out = add_force(slope, image, np.zeros((6, 7, 8, 3), np.float32))
    inner = (slice(1, -1),) * 3
    expected = slope[..., None] * np.stack(np.gradient(image), axis=-1)
    np.testing.assert_allclose(out[inner], expected[inner], atol=1e-6)


def test_adam_agrees_with_torch() -> None:
    start = torch.zeros(3, 4, 5, 3, requires_grad=True)
    optimiser = torch.optim.Adam([start], lr=1.0, betas=(0.5, 0.99), eps=1e-12)
    first, second, out = (np.zeros((3, 4, 5, 3), np.float32) for _ in range(3))
    total = np.zeros_like(out)
    for turn in range(1, 4):
        gradient = field((3, 4, 5), turn)
        start.grad = torch.from_numpy(gradient.copy())
        optimiser.step()
        total -= adam(gradient, first, second, turn, out, betas=(0.5, 0.99))
    np.testing.assert_allclose(total, start.detach().numpy(), atol=1e-4)


def test_longest_vector() -> None:
    v = np.zeros((4, 5, 6, 3), np.float32)
    v[1, 2, 3] = (2, -3, 6)
    assert longest(v) == pytest.approx(7)

"""The inverse of a field at points: against plain fixed-point iteration, stretches, folds, edges."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, map_coordinates
from wssamnet.kernels.inversion import invert_points


def _field(seed: int, shape: tuple[int, int, int], amplitude: float) -> NDArray[np.float32]:
    rng = np.random.default_rng(seed)
    u = np.stack([gaussian_filter(rng.normal(size=shape), 3) for _ in range(3)], axis=-1)
    return (amplitude * u / np.abs(u).max()).astype(np.float32)


@given(seed=st.integers(0, 1000), sizes=st.tuples(*[st.integers(5, 14)] * 3), amplitude=st.floats(0, 1.5))
@settings(max_examples=25, deadline=None)
def test_solves_the_equation(seed: int, sizes: tuple[int, int, int], amplitude: float) -> None:
    u = _field(seed, sizes, amplitude)
    world = np.diag([2.0, -3.0, 1.5, 1.0])  # mm from ijk
    world[:3, 3] = (5, -7, 11)
    y = np.random.default_rng(seed).uniform(0, 1, (50, 3)) * (np.array(sizes) - 1) @ world[:3, :3].T + world[:3, 3]
    x, residual = invert_points(u, np.linalg.inv(world), y, tolerance=1e-4)
    ijk = (x - world[:3, 3]) @ np.linalg.inv(world[:3, :3]).T
    moved = x + np.stack([map_coordinates(u[..., c], ijk.T, order=1, mode="nearest") for c in range(3)], axis=-1)
    np.testing.assert_allclose(np.linalg.norm(y - moved, axis=1), residual, atol=1e-5)
    assert residual.max() < 1e-4


def test_converges_where_space_is_stretched_fourfold() -> None:
    # u = 3 (x - 8): the plain iteration has a factor of 3 and runs away
    u = np.zeros((17, 5, 5, 3), dtype=np.float32)
    u[..., 0] = 3 * (np.arange(17) - 8)[:, None, None]
    y = np.array([[20.0, 2, 2], [-5.0, 1.5, 3]])
    x, residual = invert_points(u, np.eye(4), y)
    np.testing.assert_allclose(x[:, 0], 8 + (y[:, 0] - 8) / 4, atol=1e-3)
    assert residual.max() < 1e-3


def test_without_an_inverse_the_residual_says_so() -> None:
    folded = np.zeros((20, 3, 3, 3), dtype=np.float32)
    folded[..., 0] = -1.5 * np.arange(20)[:, None, None]  # x → -x / 2 inside the grid
    _, residual = invert_points(folded, np.eye(4), np.array([[5.0, 1, 1]]))
    assert residual[0] > 1


@pytest.mark.parametrize(("outside", "expected"), [("border", 98.0), ("zero", 100.0)])
def test_outside_the_grid(outside: str, expected: float) -> None:
    u = np.full((6, 6, 6, 3), 2, dtype=np.float32)
    x, _ = invert_points(u, np.eye(4), np.array([[100.0, 100, 100]]), outside=outside)
    np.testing.assert_allclose(x, expected)


@pytest.mark.parametrize("outside", ["border", "zero"])
def test_a_point_outside_comes_from_within_where_one_within_is_sent_there(outside: str) -> None:
    u = np.full((9, 9, 9, 3), 0, dtype=np.float32)
    u[..., 2] = 4
    within = np.array([[4.0, 4, 0], [4, 4, 4], [4, 4, 7.5], [4, 4, 8.4]])
    x, residual = invert_points(u, np.eye(4), within + np.array([0, 0, 4]), outside=outside)
    np.testing.assert_allclose(x, within, atol=1e-3)
    assert residual.max() < 1e-3


def test_no_points() -> None:
    x, residual = invert_points(np.zeros((3, 3, 3, 3), np.float32), np.eye(4), np.zeros((0, 3)))
    assert x.shape == (0, 3)
    assert residual.shape == (0,)

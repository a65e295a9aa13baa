"""Steps of the refinement against scipy, numpy and torch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates, maximum_filter
from wssamnet.kernels.greedy import adam, add_force, compose, rows_within, warp

SHAPES = [(9, 10, 11), (1, 7, 5), (2, 2, 2)]
FACTORS = [(1, 1, 1), (2, 2, 2), (1, 2, 2), (2, 2, 1)]


def field(shape: tuple[int, ...], seed: int, size: float = 2.0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-size, size, (*shape, 3)).astype(np.float32)


def blocks(shape: tuple[int, ...], factors: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(-(-n // f) for n, f in zip(shape, factors, strict=True))


def everywhere(shape: tuple[int, ...]) -> NDArray[np.int32]:
    return np.broadcast_to(np.array([0, shape[2]], np.int32), (*shape[:2], 2)).copy()


def lattice(shape: tuple[int, ...]) -> np.ndarray:
    return np.stack(np.meshgrid(*[np.arange(n) for n in shape], indexing="ij"))


def positions(u: np.ndarray) -> np.ndarray:
    return lattice(u.shape[:3]) + np.moveaxis(u, -1, 0)


@pytest.mark.parametrize("factors", FACTORS)
@pytest.mark.parametrize("shape", SHAPES)
def test_warp_agrees_with_scipy(shape: tuple[int, int, int], factors: tuple[int, int, int]) -> None:
    image = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    coarse = field(blocks(shape, factors), 1)
    f = np.array(factors)
    among = (lattice(shape) + 0.5) / f[:, None, None, None] - 0.5  # block centres
    u = np.stack([map_coordinates(coarse[..., c], among, order=1, mode="nearest") for c in range(3)], axis=-1)
    expected = map_coordinates(image, positions(u), order=1, mode="nearest")
    found = warp(image, coarse, f, everywhere(shape), np.empty_like(image))
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("factors", FACTORS)
@pytest.mark.parametrize("shape", SHAPES)
def test_compose_is_step_then_field(shape: tuple[int, int, int], factors: tuple[int, int, int]) -> None:
    """The displacements count voxels, the array they live on counts blocks."""
    u, v = field(shape, 2), field(shape, 3)
    there = positions(np.float32(0.3) * v / factors)
    expected = 0.3 * v + np.stack([map_coordinates(u[..., c], there, order=1, mode="nearest") for c in range(3)], -1)
    np.testing.assert_allclose(compose(u, v, 0.3, np.array(factors), np.empty_like(u)), expected, atol=1e-5)


def test_composing_with_nothing_changes_nothing() -> None:
    u = field((6, 7, 8), 4)
    np.testing.assert_array_equal(compose(u, np.zeros_like(u), 1.0, np.ones(3, np.int64), np.empty_like(u)), u)


@pytest.mark.parametrize("factors", FACTORS)
@pytest.mark.parametrize("shape", [(6, 7, 8), (5, 4, 9), (1, 3, 2)])
def test_force_is_the_blocks_mean_of_slope_times_gradient(
    shape: tuple[int, int, int], factors: tuple[int, int, int]
) -> None:
    slope, image = np.random.default_rng(5).normal(size=(2, *shape)).astype(np.float32)
    out = np.full((*blocks(shape, factors), 3), 0.25, np.float32)
    add_force(slope, image, np.array(factors), everywhere(shape), out)
    edge = np.pad(image, 1, mode="edge")
    inner = (slice(1, -1),) * 3
    gradient = np.stack([(np.roll(edge, -1, axis) - np.roll(edge, 1, axis))[inner] / 2 for axis in range(3)], axis=-1)
    force = slope[..., None] * gradient
    (x, y, z), (a, b, c) = shape, factors
    for i, j, k in np.ndindex(*out.shape[:3]):
        block = force[i * a : min(i * a + a, x), j * b : min(j * b + b, y), k * c : min(k * c + c, z)]
        np.testing.assert_allclose(out[i, j, k], 0.25 + block.reshape(-1, 3).mean(axis=0), atol=1e-5)


@pytest.mark.parametrize("reach", [0, 1, 3])
def test_rows_hold_all_that_is_near_content(reach: int) -> None:
    image = np.zeros((12, 13, 14), np.float32)
    image[3:6, 4:9, 5:7] = 1
    image[8, 8, 12] = -2
    rows = rows_within(image, reach)
    z = np.arange(14)
    inside = (z >= rows[..., :1]) & (z < rows[..., 1:])
    near = maximum_filter((image != 0).astype(np.uint8), 2 * reach + 1, mode="constant") > 0
    assert (inside | ~near).all()
    assert not inside[~near.any(axis=2)].any()
    assert rows_within(np.zeros_like(image), reach).max() == 0


def test_beyond_the_rows_nothing_is_warped() -> None:
    image, u = np.ones((4, 5, 6), np.float32), np.zeros((4, 5, 6, 3), np.float32)
    rows = everywhere(image.shape)
    rows[2, 3] = (2, 4)
    rows[1, 1] = (0, 0)
    out = warp(image, u, np.ones(3, np.int64), rows, np.full_like(image, 9))
    np.testing.assert_array_equal(out[2, 3], [0, 0, 1, 1, 0, 0])
    assert out[1, 1].max() == 0
    assert out.sum() == 120 - 4 - 6


def test_adam_agrees_with_torch_on_one_component() -> None:
    start = torch.zeros(3, 4, 5, requires_grad=True)
    optimiser = torch.optim.Adam([start], lr=1.0, betas=(0.5, 0.99), eps=1e-12)
    first, out = (np.zeros((3, 4, 5, 3), np.float32) for _ in range(2))
    second, total = np.zeros((3, 4, 5), np.float32), np.zeros((3, 4, 5), np.float32)
    for turn in range(1, 4):
        gradient = field((3, 4, 5), turn)
        gradient[..., ::2] = 0
        start.grad = torch.from_numpy(gradient[..., 1].copy())
        optimiser.step()
        direction = adam(gradient, first, second, turn, out, betas=(0.5, 0.99))
        np.testing.assert_array_equal(direction[..., ::2], 0)
        total -= direction[..., 1]
    np.testing.assert_allclose(total, start.detach().numpy(), atol=1e-4)


def test_adam_turns_with_its_gradient() -> None:
    turned = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0].astype(np.float32)
    moments = [(np.zeros((3, 4, 5, 3), np.float32), np.zeros((3, 4, 5), np.float32)) for _ in range(2)]
    for turn in range(1, 4):
        gradient = field((3, 4, 5), turn)
        plain, other = (
            adam(g, *both, turn, np.empty_like(g), betas=(0.5, 0.99))
            for g, both in zip((gradient, gradient @ turned), moments, strict=True)
        )
        np.testing.assert_allclose(other, plain @ turned, atol=1e-4)
        if turn == 1:  # the gradient's own direction, of length 1
            np.testing.assert_allclose(plain, gradient / np.linalg.norm(gradient, axis=-1, keepdims=True), atol=1e-4)


def test_faint_gradients_give_short_directions() -> None:
    gradient = np.zeros((3, 4, 5, 3), np.float32)
    gradient[..., 0], gradient[1, 2, 3] = 1e-3, (0, 2, 0)
    moments = np.zeros_like(gradient), np.zeros((3, 4, 5), np.float32)
    direction = adam(gradient, *moments, 1, np.empty_like(gradient), betas=(0.5, 0.99), floor=0.5)
    np.testing.assert_allclose(direction[1, 2, 3], [0, 0.8, 0], rtol=1e-4)
    np.testing.assert_allclose(direction[0, 0, 0], [1e-3 / 0.501, 0, 0], rtol=1e-4)

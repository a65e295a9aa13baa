"""Onto the working grid: exact where nothing need be interpolated, and no background in the brain."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from wssamnet.fields import AffineMap
from wssamnet.geometry import Frame, Grid
from wssamnet.preprocessing.regrid import regrid

SHAPE = (11, 13, 9)


def sample_images(shape: tuple[int, int, int] = SHAPE) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    mask = rng.random(shape) < 0.7
    channels = np.where(mask, rng.uniform(0.02, 1, (2, *shape)), 0).astype(np.float16).astype(np.float32)
    return channels, mask


@pytest.mark.parametrize("axes", list(itertools.permutations(range(3))))
@pytest.mark.parametrize("flips", list(itertools.product([1, -1], repeat=3)))
@pytest.mark.parametrize("header", ["exact", "float32"])
@pytest.mark.parametrize("spacing", [(0.9375, 1.2, 1.1), (0.5, 6.0, 0.9)])
def test_flips_permutations_and_crops_reproduce_voxels(
    axes: tuple[int, int, int], flips: tuple[int, int, int], header: str, spacing: tuple[float, float, float]
) -> None:
    channels, mask = sample_images()
    turn = np.zeros((3, 3))
    turn[list(axes), range(3)] = flips
    affine = np.eye(4)
    affine[:3, :3] = turn @ np.diag(spacing)
    affine[:3, 3] = (-91.3, 77.77, 12.345)
    source = Grid(SHAPE, affine.astype(np.float32) if header == "float32" else affine)
    start, size = np.array([-2, 3, 1]), (16, 9, 7)
    target = Grid(SHAPE, affine).canonical().crop(start, size)
    images, brain = regrid(channels, mask, source, target, AffineMap())

    index = np.stack(np.meshgrid(*[np.arange(n) for n in size], indexing="ij"), axis=-1)
    ijk = np.rint(source.convert(target.convert(index, Frame.IJK, Frame.LPS), Frame.LPS, Frame.IJK)).astype(int)
    inside = ((ijk >= 0) & (ijk < SHAPE)).all(axis=-1)
    i, j, k = np.moveaxis(np.where(inside[..., None], ijk, 0), -1, 0)
    np.testing.assert_array_equal(brain, np.where(inside, mask[i, j, k], False))
    np.testing.assert_array_equal(images.astype(np.float32), np.where(inside, channels[:, i, j, k], 0))


def test_background_does_not_bleed_into_the_brain() -> None:
    mask = np.zeros((20, 20, 20), bool)
    mask[5:15, 5:15, 5:15] = True
    channels = np.where(mask, 0.5, 0).astype(np.float32)[None]
    grid = Grid((20, 20, 20), np.eye(4))
    turn = np.eye(4)
    turn[:3, :3] = Rotation.from_euler("xyz", [10, 20, 30], degrees=True).as_matrix()
    turn[:3, 3] = np.array([-9.5, -9.5, 9.5]) - turn[:3, :3] @ (-9.5, -9.5, 9.5)
    images, brain = regrid(channels, mask, grid, grid, AffineMap(turn))
    assert 900 < brain.sum() < 1100
    np.testing.assert_allclose(images[0][brain], 0.5, atol=1e-3)
    assert (images[0][~brain] == 0).all()


def test_a_coarser_grid_averages() -> None:
    rng = np.random.default_rng(0)
    shape = (48, 48, 48)
    channels = rng.choice([0.1, 0.9], (1, *shape)).astype(np.float32)
    grid = Grid(shape, np.eye(4))
    images, brain = regrid(channels, np.ones(shape, bool), grid, grid.resampled(4.0), AffineMap())
    assert images.shape == (1, 12, 12, 12)
    inner = images[0, 2:-2, 2:-2, 2:-2].astype(float)
    assert abs(inner.mean() - 0.5) < 0.02
    assert inner.std() < 0.12  # without smoothing it would be 0.2 or more
    assert brain.all()


@pytest.mark.parametrize("spacing", [None, 2.0])
def test_a_spot_stays_where_it_is(odd_grid: Grid, spacing: float | None) -> None:
    mask = np.ones(odd_grid.shape, bool)
    channels = np.full((1, *odd_grid.shape), 0.02, np.float32)
    where = np.array([13, 17, 9])
    channels[(0, *where)] = 1
    target = odd_grid.canonical() if spacing is None else odd_grid.canonical().resampled(spacing)
    images, _ = regrid(channels, mask, odd_grid, target, AffineMap())
    weight = images[0].astype(float) - 0.02
    weight[weight < 0.1] = 0
    index = np.stack(np.meshgrid(*[np.arange(n) for n in target.shape], indexing="ij"), axis=-1)
    middle = (index * weight[..., None]).sum(axis=(0, 1, 2)) / weight.sum()
    found = target.convert(middle, Frame.IJK, Frame.LPS)
    true = odd_grid.convert(where, Frame.IJK, Frame.LPS)
    assert np.linalg.norm(found - true) < (1e-6 if spacing is None else 0.5)

"""Normalised intensities and ROI cubes: known values."""

from __future__ import annotations

import numpy as np
import pytest
from wssamnet.geometry import Frame, Grid
from wssamnet.preprocessing.intensity import DARKEST, Range, brain_range
from wssamnet.preprocessing.roi import roi_mask


def test_the_robust_range_becomes_darkest_to_one_and_background_zero() -> None:
    image = np.arange(10_000, dtype=np.int16).reshape(20, 25, 20)
    mask = image >= 100
    image[0, 0, 0] = -5
    found = brain_range(image, mask)
    assert found.low == pytest.approx(100 + 0.001 * 9899)
    assert found.high == pytest.approx(100 + 0.999 * 9899)
    scaled = found.apply(image, mask)
    assert scaled.dtype == np.float32
    assert (scaled[~mask] == 0).all()
    assert scaled[mask].min() == np.float32(DARKEST)
    assert scaled[mask].max() == 1
    share = (5000 - found.low) / (found.high - found.low)
    assert scaled.reshape(-1)[5000] == pytest.approx(DARKEST + (1 - DARKEST) * share)


def test_one_bright_vessel_does_not_set_the_scale() -> None:
    rng = np.random.default_rng(0)
    image = rng.uniform(100, 200, (20, 20, 20))
    image[3, 3, 3] = 1e6
    assert brain_range(image, np.ones(image.shape, bool)).high < 201


@pytest.mark.parametrize("scale", [1e-12, 1.0, 1e12])
def test_any_unit_of_intensity(scale: float) -> None:
    image = np.random.default_rng(0).uniform(1, 2, (8, 8, 8)) * scale
    mask = np.ones(image.shape, bool)
    scaled = brain_range(image, mask).apply(image, mask)
    assert np.isfinite(scaled).all()
    assert scaled.std() > 0.2


def test_a_flat_brain_stays_above_background() -> None:
    scaled = Range(5.0, 5.0).apply(np.full((3, 3, 3), 5), np.ones((3, 3, 3), bool))
    assert (scaled == np.float32(DARKEST)).all()


@pytest.mark.parametrize(("edge", "low", "high"), [(9, 4, 4), (1, 0, 0), (4, 1, 2)])
def test_a_cube_around_a_landmark(odd_grid: Grid, edge: int, low: int, high: int) -> None:
    ijk = np.array([15, 16, 10])
    mask = roi_mask(odd_grid.convert([ijk + 0.3], Frame.IJK, Frame.LPS), odd_grid, edge)
    assert mask.sum() == edge**3
    where = np.argwhere(mask)
    np.testing.assert_array_equal(where.min(axis=0), ijk - low)
    np.testing.assert_array_equal(where.max(axis=0), ijk + high)


def test_cubes_are_cut_at_the_border_and_overlap() -> None:
    grid = Grid((10, 10, 10), np.eye(4))
    assert roi_mask(grid.convert([[0, 0, 0]], Frame.IJK, Frame.LPS), grid, 9).sum() == 5**3
    assert roi_mask(grid.convert([[50, 5, 5], [-50, 5, 5]], Frame.IJK, Frame.LPS), grid, 9).sum() == 0
    assert roi_mask(grid.convert([[5, 5, 5], [6, 5, 5]], Frame.IJK, Frame.LPS), grid, 3).sum() == 36
    assert roi_mask(np.zeros((0, 3)), grid, 3).sum() == 0

"""Going from level to level along the axes gives the field that interpolation at points gives."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from wssamnet.geometry import Grid
from wssamnet.kernels import levels
from wssamnet.kernels.sampling import sample
from wssamnet.registration import refinement
from wssamnet.registration.refinement import SCHEDULES, refine


def at_points(
    values: NDArray[np.float32], positions: tuple[NDArray[np.float64], ...], factors: Any = 1.0
) -> NDArray[np.float32]:
    """`resize` through a full grid of float64 indices, which is how the refinement used to do it."""
    points = np.stack(np.meshgrid(*positions, indexing="ij"), axis=-1)
    inside = np.clip(points, 0, np.array(values.shape[:3]) - 1).reshape(-1, 3)
    found = sample(np.ascontiguousarray(values), inside).reshape(*points.shape[:3], -1)
    return np.asarray(found * factors, dtype=np.float32)


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (-1.0, 0.8, 1.7)])
def test_the_field_is_the_same_within_a_thousandth_of_a_voxel(
    spacing: tuple[float, float, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    shape = (41, 38, 37)
    rng = np.random.default_rng(0)
    fixed, moving = (
        np.asarray(0.5 + 2 * gaussian_filter(rng.normal(size=shape), 2), np.float32)[None] for _ in range(2)
    )
    moving = 0.7 * np.roll(fixed, 1, axis=2) + 0.3 * moving
    grid = Grid(shape, np.diag([*spacing, 1.0]))
    start = np.asarray([gaussian_filter(rng.normal(size=shape), 5) for _ in range(3)], np.float32)
    start = np.ascontiguousarray(np.moveaxis(start, 0, -1)) * 5
    kept = start.copy()
    found = refine(fixed, moving, grid, start=start, schedule=SCHEDULES["accurate"])
    np.testing.assert_array_equal(start, kept)
    for module in (refinement, levels):
        monkeypatch.setattr(module, "resize", at_points)
    gap = np.abs(found - refine(fixed, moving, grid, start=start, schedule=SCHEDULES["accurate"]))
    # Adam divides by the gradient's size: where an image is flat, it enlarges rounding
    assert np.quantile(gap, 0.99) < 2e-3
    assert gap.max() < 0.02

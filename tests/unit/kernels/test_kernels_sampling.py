from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import map_coordinates
from wssamnet.kernels.sampling import sample


@settings(max_examples=40, deadline=None)
@given(st.tuples(*[st.integers(1, 8)] * 3), st.booleans(), st.integers(0, 10**6))
def test_linear_equals_scipy(shape: tuple[int, int, int], column_order: bool, seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = rng.normal(size=shape)
    points = rng.uniform(-2, np.array(shape) + 1, size=(50, 3))
    expected = map_coordinates(values, points.T, order=1, mode="nearest")
    given_values = np.asfortranarray(values) if column_order else values
    np.testing.assert_allclose(sample(given_values, points), expected, atol=1e-12)


@pytest.mark.parametrize("dtype", [np.bool_, np.uint8, np.int16, np.int64, np.float16, np.float32])
def test_nearest_keeps_the_type(dtype: type[np.generic]) -> None:
    values = np.arange(27).reshape(3, 3, 3).astype(dtype)
    found = sample(values, np.array([[0.4, 1.6, 2.0], [5, 5, 5]]), order=0)
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, [values[0, 2, 2], values[2, 2, 2]])
    assert sample(values, np.array([[5.0, 5, 5]]), order=0, outside="zero")[0] == 0


def test_channels_and_read_only_arrays() -> None:
    values = np.stack([np.full((3, 3, 3), 1.0), np.full((3, 3, 3), 2.0)], axis=-1)
    values.flags.writeable = False
    np.testing.assert_array_equal(sample(values, np.full((4, 3), 0.5)), [[1, 2]] * 4)


@pytest.mark.parametrize("order", [0, 1])
@pytest.mark.parametrize("outside", ["border", "zero"])
def test_points_that_are_not_finite_read_no_foreign_memory(order: int, outside: str) -> None:
    values = np.ones((3, 3, 3), dtype=np.float32)
    points = np.array([[np.nan, 1, 1], [1, 1, np.nan], [np.inf, 1, -np.inf]])
    found = sample(values, points, order=order, outside=outside)
    assert (np.isnan(found) | np.isin(found, (0, 1))).all()
    if order == 1 and outside == "border":
        np.testing.assert_array_equal(np.isnan(found), [True, True, False])

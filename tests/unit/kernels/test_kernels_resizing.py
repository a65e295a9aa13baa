"""Resizing along the axes against interpolation at points."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from wssamnet.kernels.resizing import resize
from wssamnet.kernels.sampling import sample
from wssamnet.kernels.smoothing import gaussian


@settings(max_examples=30, deadline=None)
@given(
    shape=st.tuples(*[st.integers(1, 8)] * 3),
    wanted=st.tuples(*[st.integers(1, 8)] * 3),
    channels=st.integers(1, 4),
    seed=st.integers(0, 1000),
)
def test_agrees_with_sampling(
    shape: tuple[int, int, int], wanted: tuple[int, int, int], channels: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(*shape, channels)).astype(np.float32)
    factors = rng.normal(size=channels)
    positions = tuple(rng.uniform(-1, size, count) for size, count in zip(shape, wanted, strict=True))
    points = np.stack(np.meshgrid(*positions, indexing="ij"), axis=-1)
    inside = np.clip(points, 0, np.array(shape) - 1).reshape(-1, 3)
    expected = sample(values, inside).reshape(*wanted, channels) * factors
    np.testing.assert_allclose(resize(values, positions, factors), expected, atol=1e-5)


def test_smoothing_into_a_given_array() -> None:
    field = np.random.default_rng(0).random((9, 8, 7, 3), dtype=np.float32)
    out = np.empty_like(field)
    assert gaussian(field, 1.5, out=out) is out
    np.testing.assert_array_equal(out, gaussian(field, 1.5))

"""Lengths of a field's vectors, by known values."""

from __future__ import annotations

import numpy as np
import pytest
from wssamnet.kernels.lengths import longest, typical


def test_typical_vector() -> None:
    v = np.zeros((4, 5, 6, 3), np.float32)
    assert typical(v) == 0
    v[1, 2, 3], v[3, 4, 5] = (2, -3, 6), (0, 1, 0)
    assert typical(v) == pytest.approx(5)


def test_longest_vector() -> None:
    v = np.zeros((4, 5, 6, 3), np.float32)
    v[1, 2, 3] = (2, -3, 6)
    assert longest(v) == pytest.approx(7)

"""Errors and robustness against numbers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from wssamnet.errors import GeometryError, SettingsError
from wssamnet.evaluation.errors import check_kind, euclidean, l1, landmark_errors, per_axis
from wssamnet.evaluation.robustness import robustness

TRUTH = [[0.0, 0.0, 0.0], [10.0, -5.0, 2.0], [1.0, 1.0, 1.0]]
POINTS = [[3.0, -4.0, 0.0], [10.0, -5.0, 2.0], [2.0, 3.0, -1.0]]


def test_errors_are_the_known_numbers() -> None:
    assert euclidean(POINTS, TRUTH).tolist() == [5.0, 0.0, 3.0]
    assert l1(POINTS, TRUTH).tolist() == [7.0, 0.0, 5.0]
    assert per_axis(POINTS, TRUTH).tolist() == [[3, 4, 0], [0, 0, 0], [1, 2, 2]]


def test_a_kind_is_chosen_by_name() -> None:
    assert landmark_errors(POINTS, TRUTH).tolist() == [5.0, 0.0, 3.0]
    assert landmark_errors(POINTS, TRUTH, check_kind("l1")).tolist() == [7.0, 0.0, 5.0]
    with pytest.raises(SettingsError, match=r"error: 'l2' is not a kind of error \(one of euclidean, l1\)"):
        check_kind("l2")


@given(arrays(float, (5, 3), elements=st.floats(-300, 300)), arrays(float, (5, 3), elements=st.floats(-300, 300)))
def test_the_kinds_bound_each_other(a: np.ndarray, b: np.ndarray) -> None:
    small, large, axes = euclidean(a, b), l1(a, b), per_axis(a, b)
    assert (axes.max(axis=1) <= small + 1e-9).all()
    assert (small <= large + 1e-9).all()
    assert (large <= np.sqrt(3) * small + 1e-9).all()
    np.testing.assert_array_equal(euclidean(b, a), small)


def test_points_that_do_not_correspond_are_refused() -> None:
    with pytest.raises(GeometryError, match=r"\(2, 3\) and \(3, 3\) cannot be compared"):
        euclidean(POINTS[:2], TRUTH)


def test_robustness_counts_strict_improvement_and_zero_initial_errors() -> None:
    found = robustness([4.0, 3.0, 2.0, 0.0, 5.0], [1.0, 3.0, 2.5, 0.0, 4.9])
    assert (found.improved, found.total, found.zero_initial) == (2, 5, 1)
    assert found.share == pytest.approx(0.4)


def test_the_rounding_of_a_file_is_no_improvement() -> None:
    assert robustness([4.00004, 2.0], [4.0, 2.0]).improved == 0


def test_robustness_needs_landmarks() -> None:
    with pytest.raises(ValueError, match="two of one length above 0"):
        robustness([], [])

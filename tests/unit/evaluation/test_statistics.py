"""Holm, Wilcoxon and the bootstrap against known examples."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from wssamnet.evaluation.statistics import bootstrap_interval, compare, holm, signed_rank


def test_holm_known_example() -> None:
    # R: p.adjust(c(0.01, 0.04, 0.03, 0.005), "holm")
    np.testing.assert_allclose(holm([0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02])


def test_holm_never_exceeds_one_and_leaves_out_what_is_missing() -> None:
    found = holm([0.6, float("nan"), 0.9])
    np.testing.assert_allclose(found[[0, 2]], [1, 1])
    assert np.isnan(found[1])
    np.testing.assert_allclose(holm([0.02, float("nan")])[0], 0.02)


def test_signed_rank_exact() -> None:
    # six differences of one sign: the two-sided exact p is 2 / 2**6
    assert signed_rank([1, 2, 3, 4, 5, 6]) == pytest.approx(2 / 64)
    assert signed_rank([-1, -2, -3, -4, -5, -6]) == pytest.approx(2 / 64)


def test_signed_rank_of_nothing() -> None:
    assert signed_rank([0, 0, 1e-9]) == 1
    assert np.isnan(signed_rank([]))


def test_equal_shares_of_landmarks_are_equal_ranks() -> None:
    gained = np.array([2, 1, 1, 1, 1, 2, 0, 2, 1, -1, 0, 2])
    before = np.arange(12) % 9
    p = signed_rank((before + gained) / 12 - before / 12)
    assert p == signed_rank(gained) == signed_rank(gained / 12)
    assert p == pytest.approx(0.0137, abs=2e-4)


def test_bootstrap_is_reproducible_and_holds_the_mean() -> None:
    values = np.random.default_rng(3).gamma(2, 2, size=20)
    low, high = bootstrap_interval(values, seed=1)
    assert (low, high) == bootstrap_interval(values, seed=1)
    assert (low, high) != bootstrap_interval(values, seed=2)
    assert low < values.mean() < high
    # the normal approximation is close at this n
    half = 1.96 * values.std(ddof=0) / np.sqrt(len(values))
    assert (high - low) / 2 == pytest.approx(half, rel=0.1)


def test_bootstrap_of_one_value_is_undefined() -> None:
    assert all(np.isnan(end) for end in bootstrap_interval([3.0]))


def test_compare_pairs_cases_by_name() -> None:
    cases = [f"c{index}" for index in range(6)]
    first = pd.DataFrame({"method": "a", "case": cases, "median": [1.0, 2, 3, 4, 5, 6], "mean": 1.0})
    second = pd.DataFrame({"method": "b", "case": cases[::-1], "median": [5.0, 4.1, 3.2, 2.3, 1.4, 0.5]})
    table = pd.concat([first, second])
    table["robustness"] = 0.5
    found = compare(table, ["a", "b"])
    row = found[(found["metric"] == "median") & (found["against"] == "a")].iloc[0]
    assert (row["method"], row["n"]) == ("b", 6)
    assert row["estimate"] == pytest.approx(np.mean([-0.5, -0.6, -0.7, -0.8, -0.9, -1.0]))
    assert row["p"] == pytest.approx(2 / 64)
    assert row["p_holm"] == pytest.approx(2 / 64)
    assert row["ci_low"] < row["estimate"] < row["ci_high"] < 0
    # b has no mean: its row and its comparison say so
    assert found.loc[found["metric"] == "mean", ["method", "against", "n"]].to_numpy().tolist() == [
        ["a", "", 6],
        ["b", "", 0],
        ["b", "a", 0],
    ]
    assert found.loc[found["n"] == 0, ["estimate", "ci_low", "ci_high", "p", "p_holm"]].isna().all(axis=None)
    assert not len(compare(table.assign(median=np.nan, mean=np.nan, robustness=np.nan), ["a", "b"]))
    equal = found[(found["metric"] == "robustness") & (found["against"] == "a")].iloc[0]
    assert (equal["estimate"], equal["p"]) == (0, 1)

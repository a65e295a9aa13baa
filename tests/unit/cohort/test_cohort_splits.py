"""Splits: every case has one part in a fold, whatever the order; impossible wishes are refused."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wssamnet.cohort import split_cases
from wssamnet.errors import CohortError

IDS = [f"BraTSReg_{n:03d}" for n in range(1, 11)]
names = st.lists(st.text("abcdefg123", min_size=1, max_size=6), min_size=2, max_size=30, unique=True)


@given(names, st.integers(0, 2**31), st.data())
def test_folds_test_every_case_once(ids: list[str], seed: int, data: Any) -> None:
    k = data.draw(st.integers(2, len(ids)))
    folds = split_cases(ids, folds=k, seed=seed)
    assert [fold.index for fold in folds] == list(range(1, k + 1))
    assert sorted(name for fold in folds for name in fold.test) == sorted(ids)
    for fold in folds:
        assert sorted(fold.train + fold.test) == sorted(ids)
    sizes = [len(fold.test) for fold in folds]
    assert max(sizes) - min(sizes) <= 1


@given(names, st.floats(0.01, 0.7), st.integers(0, 1000))
def test_ratio_splits_whole_patients_and_ignores_the_order(ids: list[str], ratio: float, seed: int) -> None:
    (fold,) = split_cases(ids, test_ratio=ratio, seed=seed)
    assert sorted(fold.train + fold.test) == sorted(ids)
    assert fold.train
    assert len(fold.test) == max(1, round(ratio * len(ids)))
    assert split_cases(sorted(ids, reverse=True), test_ratio=ratio, seed=seed) == [fold]


def test_the_seed_matters() -> None:
    tests = {split_cases(IDS, test_ratio=0.3, seed=seed)[0].test for seed in range(10)}
    assert len(tests) > 5


def test_a_given_list_wins_over_the_ratio() -> None:
    (fold,) = split_cases(IDS, test_cases=[IDS[4], IDS[1], IDS[4]], test_ratio=0.5, seed=3)
    assert fold.test == (IDS[1], IDS[4])
    assert fold.train == tuple(name for name in IDS if name not in fold.test)


@pytest.mark.parametrize(
    ("wish", "tested"),
    [
        ({}, [IDS]),
        ({"test_cases": [IDS[3], IDS[1]]}, [[IDS[1], IDS[3]]]),
        ({"test_cases": IDS}, [IDS]),
        ({"folds": 10}, None),
    ],
)
def test_where_nothing_is_trained_all_are_tested(wish: dict[str, Any], tested: list[list[str]] | None) -> None:
    folds = split_cases(IDS, training=False, **wish)
    assert all(fold.train == () for fold in folds)
    if tested is None:
        assert sorted(name for fold in folds for name in fold.test) == sorted(IDS)
    else:
        assert [list(fold.test) for fold in folds] == [sorted(names) for names in tested]


def test_one_patients_scans_may_be_told_apart_where_nothing_is_trained() -> None:
    patients = {"a1": "a", "a2": "a"}
    (fold,) = split_cases(["a1", "a2"], test_cases=["a2"], patients=patients, training=False)
    assert (fold.train, fold.test) == ((), ("a2",))


@pytest.mark.parametrize(
    ("wish", "said"),
    [
        ({"folds": 11}, "folds: 11 for 10 cases"),
        ({"folds": 1}, "folds: 1 for 10 cases"),
        ({"folds": -1}, "folds: -1"),
        ({"test_ratio": 0.0}, "test_ratio: 0.0"),
        ({"test_ratio": 1.0}, "test_ratio: 1.0"),
        ({"test_ratio": float("nan")}, "test_ratio: nan"),
        ({"test_ratio": 0.99}, "is left to train on"),
        ({"test_cases": IDS}, "is left to train on"),
        ({"test_cases": ["BraTSReg_01"]}, r"'BraTSReg_01' is not in the cohort \(did you mean BraTSReg_0\d"),
        ({"test_cases": ["zzz"]}, r"'zzz' is not in the cohort \(it has BraTSReg_001 to BraTSReg_010\)"),
        ({"test_cases": [IDS[0]], "folds": 2}, "both are given"),
        ({}, "no test case is asked for"),
    ],
)
def test_impossible_wishes(wish: dict[str, Any], said: str) -> None:
    with pytest.raises(CohortError, match=said):
        split_cases(IDS, **wish)


VISITS = {"a1": "a", "a2": "a", "b1": "b", "b2": "b", "b3": "b", "c": "c", "d": "d"}


@pytest.mark.parametrize("wish", [{"test_ratio": 0.4}, {"folds": 3}, {"test_cases": ["b1", "b2", "b3", "c"]}])
@pytest.mark.parametrize("seed", range(5))
def test_no_patient_trains_and_tests(wish: dict[str, Any], seed: int) -> None:
    found = split_cases(list(VISITS), **wish, seed=seed, patients=VISITS)
    for fold in found:
        assert not {VISITS[name] for name in fold.train} & {VISITS[name] for name in fold.test}
        assert sorted([*fold.train, *fold.test]) == sorted(VISITS)
    if "folds" in wish:
        assert sorted(name for fold in found for name in fold.test) == sorted(VISITS), "each case is tested once"
    if "test_ratio" in wish:
        assert len({VISITS[name] for name in found[0].test}) == 2, "two of four patients"


@pytest.mark.parametrize(
    ("wish", "said"),
    [
        ({"test_cases": ["b1", "c"]}, "b2 is trained on, patient b is tested"),
        ({"folds": 5}, "folds: 5 for 4 patients"),
        ({"test_cases": list(VISITS)}, "is left to train on"),
    ],
)
def test_wishes_that_patients_forbid(wish: dict[str, Any], said: str) -> None:
    with pytest.raises(CohortError, match=said):
        split_cases(list(VISITS), **wish, patients=VISITS)


def test_every_unknown_id_is_listed() -> None:
    with pytest.raises(CohortError) as caught:
        split_cases(IDS, test_cases=["x", "y"])
    assert len(caught.value.problems) == 2


@pytest.mark.parametrize(
    ("ids", "said"), [([], "no case"), (["a", "a"], "'a' occurs twice"), (["a"], "is left to train on")]
)
def test_cohorts_that_cannot_be_split(ids: list[str], said: str) -> None:
    with pytest.raises(CohortError, match=said):
        split_cases(ids, test_ratio=0.2)

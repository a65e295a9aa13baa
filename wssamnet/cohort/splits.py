"""Who trains and who tests; in one fold no patient does both."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from wssamnet.errors import CohortError


@dataclass(frozen=True)
class Fold:
    """One split.

    Args:
        index: 1 for a single split, 1 to k for k folds.
        train: case ids, sorted.
        test: case ids, sorted.
    """

    index: int
    train: tuple[str, ...]
    test: tuple[str, ...]


def _given(ids: list[str], test_cases: Sequence[str]) -> list[tuple[str, ...]]:
    problems = []
    for name in test_cases:
        if name not in ids:
            near = difflib.get_close_matches(name, ids, n=1)
            problems.append(
                f"test_cases: '{name}' is not in the cohort "
                f"({f'did you mean {near[0]}?' if near else f'it has {ids[0]} to {ids[-1]}'})"
            )
    if problems:
        raise CohortError(problems)
    return [tuple(sorted(set(test_cases)))]


def _cases_of(patients: Sequence[str], of: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(sorted(name for name, patient in of.items() if patient in patients))


def split_cases(
    ids: Sequence[str],
    *,
    test_cases: Sequence[str] = (),
    test_ratio: float | None = None,
    folds: int = 0,
    seed: int = 0,
    patients: Mapping[str, str] | None = None,
    training: bool = True,
) -> list[Fold]:
    """Split a cohort by patient; the same ids and seed give the same split in whatever order they come.

    Args:
        ids: the cohort's case ids.
        test_cases: ids to test on; wins over `test_ratio`.
        test_ratio: share of patients to test on, drawn at random; rounded, at least one.
        folds: number of folds, each case tested once; wins over `test_ratio`.
        seed: of the draw.
        patients: id to patient, where several cases are one patient's; the others are patients of their own.
        training: False where nothing is trained: no fold has training cases, and every case is tested unless some are
            asked for.

    Raises:
        CohortError: both a list and folds, nothing asked for, an unknown id (with the nearest known
            one), a ratio outside (0, 1), more folds than patients, one that would train and test, no case left to
            train on.
    """
    names = sorted(set(ids))
    if len(names) != len(ids):
        raise CohortError(
            [f"case '{name}' occurs twice (every id once)" for name in names if list(ids).count(name) > 1]
        )
    if not names:
        raise CohortError(["the cohort holds no case"])
    if test_cases and folds:
        raise CohortError(["test_cases, folds: both are given (one of them)"])
    of = {name: (patients or {}).get(name, name) for name in names}
    everyone = sorted(set(of.values()))
    shuffled = [everyone[n] for n in np.random.default_rng(seed).permutation(len(everyone))]
    if test_cases:
        tests = _given(names, test_cases)
    elif folds:
        if not 2 <= folds <= len(everyone):
            who = "cases" if len(everyone) == len(names) else "patients"
            raise CohortError([f"folds: {folds} for {len(everyone)} {who} (a number from 2 to the number of {who})"])
        tests = [_cases_of([str(one) for one in part], of) for part in np.array_split(np.array(shuffled), folds)]
    elif test_ratio is not None:
        if not 0 < test_ratio < 1:
            raise CohortError([f"test_ratio: {test_ratio} (a number between 0 and 1)"])
        tests = [_cases_of(shuffled[: max(1, round(test_ratio * len(everyone)))], of)]
    elif not training:
        tests = [tuple(names)]
    else:
        raise CohortError(
            ["test_cases, test_ratio, folds: no test case is asked for (one of them; --no-training tests all)"]
        )
    if not training:
        return [Fold(index, (), tuple(sorted(test))) for index, test in enumerate(tests, start=1)]
    result = []
    for index, test in enumerate(tests, start=1):
        train = tuple(name for name in names if name not in set(test))
        tested = {of[name] for name in test}
        if both := [name for name in train if of[name] in tested]:
            raise CohortError(
                [f"test_cases: {name} is trained on, patient {of[name]} is tested (all cases of one)" for name in both]
            )
        if not train:
            raise CohortError(
                [
                    f"test_cases: none of {len(names)} cases is left to train on "
                    "(fewer test cases, or more; else `wssamnet check --no-training`, or --methods without networks)"
                ]
            )
        result.append(Fold(index, train, tuple(sorted(test))))
    return result

"""The whole cohort is read and judged before any work; every problem in one line."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from os.path import realpath
from pathlib import Path

from wssamnet.cohort.cases import Case
from wssamnet.cohort.layouts import find_cases
from wssamnet.cohort.lesions import read_lesion
from wssamnet.cohort.scans import ScanReport, examine_scan, overlap
from wssamnet.cohort.splits import Fold
from wssamnet.errors import CohortError, WssamnetError
from wssamnet.files import FOLDER_NAME, names_a_folder
from wssamnet.kernels.threads import thread_count
from wssamnet.landmarks import Coordinates


def _names(cases: Sequence[Case]) -> list[str]:
    problems = []
    seen: dict[str, str] = {}
    count = Counter(case.id.casefold() for case in cases)
    for case in cases:
        if not names_a_folder(case.id):
            problems.append(f"case {case.id[:120]!r}: the id cannot name a folder everywhere ({FOLDER_NAME})")
        if count[case.id.casefold()] > 1 and seen.setdefault(case.id.casefold(), case.id) == case.id:
            problems.append(
                f"case '{case.id}': the id occurs more than once (every id once, upper and lower case alike)"
            )
    return list(dict.fromkeys(problems))


def _ids(case: Case, fixed: ScanReport, moving: ScanReport) -> list[str]:
    if fixed.landmark_ids is None or moving.landmark_ids is None:
        return []
    a, b = set(fixed.landmark_ids), set(moving.landmark_ids)
    problems = []
    for path, only in ((case.fixed.landmarks, sorted(a - b)), (case.moving.landmarks, sorted(b - a))):
        if only:
            some = ", ".join(map(str, only[:6])) + (", …" if len(only) > 6 else "")
            problems.append(f"{path}: landmarks {some} are not in the other scan's file (the same ids in both)")
    return problems


def _case_problems(case: Case, modalities: Sequence[str]) -> list[str]:
    fixed = examine_scan(f"case '{case.id}': fixed scan", case.fixed, modalities)
    moving = examine_scan(f"case '{case.id}': moving scan", case.moving, modalities)
    problems = [*fixed.problems, *moving.problems, *_ids(case, fixed, moving)]
    if case.lesion is not None and fixed.first is not None:
        try:
            read_lesion(case.lesion, fixed.first)
        except WssamnetError as error:
            problems.append(str(error))
    shared = {realpath(path) for path in case.fixed.files()} & {realpath(path) for path in case.moving.files()}
    problems += [
        f"{path}: is given for both the fixed and the moving scan (a file for each)" for path in sorted(shared)
    ]
    if case.moving.landmarks is None and case.fixed.landmarks is not None:
        problems.append(f"case '{case.id}': has fixed landmarks but no moving ones (both, or the moving ones alone)")
    if fixed.grid is not None and moving.grid is not None and not overlap(fixed.grid, moving.grid):
        problems.append(
            f"{moving.first}: does not overlap the fixed scan {fixed.first} in space "
            "(headers that put both scans into one world)"
        )
    return problems


def _shared(cases: Sequence[Case]) -> list[str]:
    """Images and landmarks in cases of different patients, of which one might be trained on and the other tested."""
    owners: dict[str, Case] = {}
    problems = []
    for case in cases:
        for path in dict.fromkeys(
            file for _, scan in case.scans() for file in (*scan.images.values(), scan.landmarks) if file
        ):
            owner = owners.setdefault(realpath(path), case)
            if owner.patient != case.patient:
                problems.append(
                    f"{path}: is given for cases {owner.id} and {case.id} (the same name for both in a column "
                    "'patient' of the samplesheet, so that none is trained on where the other is tested)"
                )
    return problems


def _problems(cases: Sequence[Case], modalities: Sequence[str]) -> list[str]:
    problems = _names(cases)
    has = {name for case in cases for _, scan in case.scans() for name in scan.images}
    if unknown := [name for name in modalities if cases and name not in has]:
        told = ", ".join(sorted(has)) or "none"
        problems.append(f"modalities: no scan of the cohort has {', '.join(unknown)} (they have {told})")
        modalities = [name for name in modalities if name in has]
    # numpy and zlib release the interpreter's lock, so threads do; few, since each holds whole images
    with ThreadPoolExecutor(min(8, thread_count())) as pool:
        for found in pool.map(lambda case: _case_problems(case, modalities), cases):
            problems += found
    return list(dict.fromkeys([*problems, *_shared(cases)]))


def check_cohort(cases: Sequence[Case], modalities: Sequence[str]) -> None:
    """Read every file of every case and judge it; nothing is written.

    Args:
        cases: the cohort.
        modalities: those that the settings ask for; others may be missing or damaged.

    Raises:
        CohortError: every problem, one line each.
    """
    problems = _problems(cases, modalities) if cases else ["the cohort holds no case"]
    if problems:
        raise CohortError(problems)


def examine_cohort(
    source: str | Path,
    modalities: Sequence[str],
    *,
    coordinates: Coordinates = "lps",
    sessions: Sequence[str] = (),
) -> list[Case]:
    """`read_cohort` and `check_cohort` in one, so that one run lists the problems of both.

    Args:
        source, modalities, sessions: see `find_cases`.
        coordinates: what the landmark files hold; see `landmarks.to_lps`.

    Raises:
        CohortError: every problem, one line each.
    """
    found = find_cases(source, modalities, sessions)
    cases = [
        replace(
            case,
            fixed=replace(case.fixed, coordinates=coordinates),
            moving=replace(case.moving, coordinates=coordinates),
        )
        for case in found.cases
    ]
    problems = [*found.problems, *_problems(cases, modalities)]
    if problems:
        raise CohortError(problems)
    return cases


def check_roles(cases: Sequence[Case], folds: Sequence[Fold]) -> tuple[str, ...]:
    """Check that the cases can play their parts: training needs the landmarks of both scans.

    Returns:
        ids of test cases without fixed landmarks: they are registered, but cannot be evaluated.

    Raises:
        CohortError: training cases without landmarks, one line each.
    """
    by_id = {case.id: case for case in cases}
    lacking = sorted({name for fold in folds for name in fold.train if not by_id[name].trainable})
    if lacking:
        raise CohortError(
            [
                f"case '{name}': is a training case without landmarks of both scans "
                "(add the files, or name it among the test cases)"
                for name in lacking
            ]
        )
    return tuple(sorted({name for fold in folds for name in fold.test if not by_id[name].has_reference}))

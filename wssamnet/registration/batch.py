"""Several cases with one registrar."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from wssamnet.preprocessing.prepared import load_prepared
from wssamnet.registration.protocol import Registrar, run


def register_cases(
    registrar: Registrar,
    prepared: Sequence[Path],
    out: str | Path,
    progress: Callable[[int, int, Path], None] | None = None,
    *,
    start_up: float = 0.0,
) -> list[Path]:
    """Register prepared cases one after the other; the registrar is built once.

    Args:
        registrar: the method.
        prepared: folders of prepared cases; all are opened before any work.
        out: the root; files go to ``out/<method>/<case>``.
        progress: called after each case with its number from 1, how many there are, and its folder.
        start_up: seconds that imports and model loading took, for the records.

    Returns:
        the folders written, in the order of `prepared`.

    Raises:
        CohortError: a folder holds no prepared case.
    """
    cases = [load_prepared(folder) for folder in prepared]
    written: list[Path] = []
    for number, case in enumerate(cases, start=1):
        written.append(run(registrar, case, out, start_up=start_up, cases_in_task=len(cases)))
        if progress is not None:
            progress(number, len(cases), written[-1])
    return written

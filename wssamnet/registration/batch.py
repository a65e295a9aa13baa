"""Several cases with one registrar, the disk kept busy beside the registration."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TypeVar

from wssamnet.errors import WssamnetError
from wssamnet.kernels.memory import keep_freed_memory
from wssamnet.preprocessing.prepared import TRUTH, PreparedCase, load_prepared
from wssamnet.registration.protocol import Loaded, Registrar, Registration, load, run, thread_count, timed, write

# What one case does to a method: input, numbers, ITK and torch (both raise RuntimeError), files. Anything else is a
# fault of the program, and the next case would meet it too.
FAULTS_OF_A_CASE = (WssamnetError, RuntimeError, ArithmeticError, ValueError, OSError)
Result = TypeVar("Result")


def register_cases(
    registrar: Registrar,
    prepared: Sequence[Path],
    out: str | Path,
    progress: Callable[[int, int, Path], None] | None = None,
    *,
    failed: Callable[[PreparedCase, Exception], None] | None = None,
    start_up: float = 0.0,
) -> list[Path]:
    """Register prepared cases; the registrar is built once.

    While one case is registered, a background thread writes the one before it and then loads the one after it. At
    most three cases are in memory. With one thread allowed, or one case, nothing overlaps: the second
    thread would take its time from the registration that is being timed. ``run.json`` says which it was.

    Args:
        registrar: the method.
        prepared: folders of prepared cases; all are opened before any work.
        out: the root; files go to ``out/<method>/<case>``.
        progress: called after each case is written, in their order, with its number from 1, how many there are,
            and its folder.
        failed: called with each case that fails, and its fault (`FAULTS_OF_A_CASE`); the others go on. None: the
            first one that fails ends the batch.
        start_up: seconds that imports and model loading took, for the records.

    Returns:
        the folders written, in the order of `prepared`.

    Raises:
        CohortError: a folder holds no prepared case.
        Exception: whatever the first case to fail raised, without `failed`; the cases before it are written.
    """
    keep_freed_memory()
    cases = [load_prepared(folder, hidden=TRUTH) for folder in prepared]
    written: list[Path] = []

    def attempt(case: PreparedCase, work: Callable[[], Result]) -> Result | None:
        try:
            return work()
        except FAULTS_OF_A_CASE as fault:
            if failed is None:
                raise
            failed(case, fault)
            return None

    def finish(case: PreparedCase, work: Callable[[], Path]) -> None:
        folder = attempt(case, work)
        if folder is not None:
            written.append(folder)
            if progress is not None:
                progress(len(written), len(cases), folder)

    record = {"start_up": start_up, "cases_in_task": len(cases)}
    if len(cases) < 2 or thread_count() < 2:
        for case in cases:
            finish(case, partial(run, registrar, case, out, start_up=start_up, cases_in_task=len(cases)))
        return written
    writing: tuple[PreparedCase, Future[Path]] | None = None
    with ThreadPoolExecutor(1, thread_name_prefix="wssamnet-files") as background:
        loading = background.submit(load, cases[0])
        for number, case in enumerate(cases):
            result: tuple[Registration, float] | None = None
            try:
                loaded: Loaded | None = attempt(case, loading.result)
                if number + 1 < len(cases):
                    loading = background.submit(load, cases[number + 1])
                if loaded is not None:
                    result = attempt(case, partial(timed, registrar, loaded))
            finally:  # a failure hides neither the case before it nor that one's own failure
                if writing is not None:
                    finish(writing[0], writing[1].result)
                    writing = None
            if loaded is not None and result is not None:
                task = partial(write, registrar, loaded, result[0], result[1], out, overlapped=True, **record)
                writing = case, background.submit(task)
        if writing is not None:
            finish(writing[0], writing[1].result)
    return written

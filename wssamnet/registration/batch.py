"""Several cases with one registrar, the disk kept busy beside the registration."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path

from wssamnet.kernels.memory import keep_freed_memory
from wssamnet.preprocessing.prepared import load_prepared
from wssamnet.registration.protocol import Registrar, load, run, thread_count, timed, write


def register_cases(
    registrar: Registrar,
    prepared: Sequence[Path],
    out: str | Path,
    progress: Callable[[int, int, Path], None] | None = None,
    *,
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
        start_up: seconds that imports and model loading took, for the records.

    Returns:
        the folders written, in the order of `prepared`.

    Raises:
        CohortError: a folder holds no prepared case.
        Exception: whatever the first case to fail raised; the cases before it are written.
    """
    keep_freed_memory()
    cases = [load_prepared(folder) for folder in prepared]
    written: list[Path] = []

    def done(folder: Path) -> None:
        written.append(folder)
        if progress is not None:
            progress(len(written), len(cases), folder)

    record = {"start_up": start_up, "cases_in_task": len(cases)}
    if len(cases) < 2 or thread_count() < 2:
        for case in cases:
            done(run(registrar, case, out, start_up=start_up, cases_in_task=len(cases)))
        return written
    writing: Future[Path] | None = None
    with ThreadPoolExecutor(1, thread_name_prefix="wssamnet-files") as background:
        loading = background.submit(load, cases[0])
        for number in range(len(cases)):
            try:
                loaded = loading.result()
                if number + 1 < len(cases):
                    loading = background.submit(load, cases[number + 1])
                result, seconds = timed(registrar, loaded)
            finally:  # a failure hides neither the case before it nor that one's own failure
                if writing is not None:
                    done(writing.result())
            task = partial(write, registrar, loaded, result, seconds, out, overlapped=True, **record)
            writing = background.submit(task)
        if writing is not None:
            done(writing.result())
    return written

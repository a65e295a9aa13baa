"""Spread a compiled kernel over threads.

The kernels release the interpreter lock and work on a range of planes; plain Python threads call them. This is
preferred to numba's own parallel loops because it survives a fork (workers of a data loader), may be called from
several threads at once, does not keep a second OpenMP pool spinning beside torch's, and compiles much faster.
Every kernel computes a plane alike whatever range it falls in, so the results do not depend on the thread count.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from numba.core import config

_pools: dict[int, ThreadPoolExecutor] = {}
_busy = threading.local()  # set in a thread that works on a range

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pools.clear)  # a fork copies no threads


def thread_count() -> int:
    """NUMBA_NUM_THREADS, or else OMP_NUM_THREADS as for torch, ITK and the rest, or else the number of usable cores."""
    told = os.environ.get("OMP_NUM_THREADS", "")
    if "NUMBA_NUM_THREADS" not in os.environ and told.isdigit() and int(told):
        return int(told)
    return int(config.NUMBA_NUM_THREADS)  # type: ignore[attr-defined]


def run_ranges(kernel: Callable[..., Any], count: int, *arguments: Any, parts: int = 1, least: int = 1) -> None:
    """Call ``kernel(start, stop, *arguments)`` on ranges that together cover ``range(count)``.

    Args:
        kernel: compiled with ``nogil=True``, or Python that spends its time in such kernels and in numpy; calls
            on different ranges write to different places. Where it calls this function again, it does not fork.
        count: number of planes, or whatever the ranges count.
        arguments: passed on.
        parts: ranges per thread; more even out unequal loads, fewer save work that neighbouring ranges repeat.
        least: the shortest range worth another thread.
    """
    threads = thread_count()
    pieces = max(1, min(threads * parts, count // least))
    if threads == 1 or pieces == 1 or getattr(_busy, "on", False):
        kernel(0, count, *arguments)
        return
    pool = _pools.get(threads)
    if pool is None:
        pool = _pools.setdefault(threads, ThreadPoolExecutor(threads, thread_name_prefix="wssamnet-kernel"))
    bounds = [count * piece // pieces for piece in range(pieces + 1)]

    def work(piece: int) -> None:
        _busy.on = True
        try:
            kernel(bounds[piece], bounds[piece + 1], *arguments)
        finally:
            _busy.on = False

    jobs = [pool.submit(work, piece) for piece in range(1, pieces)]
    try:
        work(0)
    finally:
        for job in jobs:
            job.result()

"""How long the vectors of a field are: the longest, and the typical one."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from wssamnet.kernels.rows import COMPILE
from wssamnet.kernels.threads import run_ranges

Field = NDArray[np.float32]


@njit(**COMPILE)
def _squares(begin: int, end: int, v: Any, total: Any, count: Any) -> None:  # pragma: no cover - compiled
    _, ny, nz, _ = v.shape
    for x in range(begin, end):
        for y in range(ny):
            for z in range(nz):
                size = v[x, y, z, 0] ** 2 + v[x, y, z, 1] ** 2 + v[x, y, z, 2] ** 2
                if size > 0:
                    total[x] += np.float64(size)
                    count[x] += 1


@njit(**COMPILE)
def _longest(begin: int, end: int, v: Any, out: Any) -> None:  # pragma: no cover - compiled
    _, ny, nz, _ = v.shape
    for x in range(begin, end):
        longest = np.float32(0)
        for y in range(ny):
            for z in range(nz):
                size = v[x, y, z, 0] ** 2 + v[x, y, z, 1] ** 2 + v[x, y, z, 2] ** 2
                longest = max(longest, size)
        out[x] = longest


def typical(v: Field) -> float:
    """The root mean square of the vectors' lengths, those of length 0 left out; 0 where there is no other."""
    total, count = np.zeros(v.shape[0], np.float64), np.zeros(v.shape[0], np.int64)
    run_ranges(_squares, v.shape[0], v, total, count)
    return float(np.sqrt(total.sum() / max(count.sum(), 1)))


def longest(v: Field) -> float:
    """The largest vector length."""
    squares = np.zeros(v.shape[0], dtype=np.float32)
    run_ranges(_longest, v.shape[0], v, squares)
    return float(np.sqrt(squares.max()))

"""Arrays in the order that NIfTI files hold them in."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from wssamnet.kernels.rows import COMPILE
from wssamnet.kernels.threads import run_ranges

_PLANES = 16  # at once: what is read together for them fills whole lines of the cache


@njit(**COMPILE)
def _turn(begin: int, end: int, data: Any, channel: int, first: int, out: Any) -> None:  # pragma: no cover - compiled
    planes, _, nx = out.shape
    for y in range(begin, end):
        for x in range(nx):
            row = data[x, y]
            for z in range(planes):
                out[z, y, x] = row[first + z, channel]


def first_axis_fastest(data: NDArray[Any]) -> Iterator[NDArray[Any]]:
    """The content of an array in Fortran's order, piece by piece.

    Args:
        data: (X, Y, Z) or (X, Y, Z, 1, C), of 1, 2, 4 or 8 bytes each.

    Yields:
        C-contiguous arrays that follow each other.
    """
    if data.flags.f_contiguous:
        yield data.T
        return
    x, y, z = data.shape[:3]
    # copying needs no meaning, only the width: one compiled kernel for all types of a width
    words = np.ascontiguousarray(data).view(f"u{data.dtype.itemsize}").reshape(x, y, z, -1)
    for channel in range(words.shape[3]):
        for first in range(0, z, _PLANES):
            out = np.empty((min(_PLANES, z - first), y, x), words.dtype)
            run_ranges(_turn, y, words, channel, first, out, least=16)
            yield out

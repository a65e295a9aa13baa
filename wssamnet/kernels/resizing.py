"""Linear resizing along the axes: no point is ever computed, a row is blended from four rows and then along itself."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from wssamnet.kernels.rows import COMPILE
from wssamnet.kernels.threads import run_ranges


@njit(**COMPILE)
def _resize(
    begin: int, end: int, values: Any, low: Any, part: Any, starts: Any, factors: Any, out: Any
) -> None:  # pragma: no cover - compiled
    nx, ny, nz, channels = values.shape
    rows = values.reshape(nx, ny, nz * channels)
    line = np.empty(nz * channels, values.dtype)
    one = np.float32(1)
    for x in range(begin, end):
        i, a = low[x], part[x]
        i1 = min(i + 1, nx - 1)
        for y in range(out.shape[1]):
            j, b = low[starts[1] + y], part[starts[1] + y]
            j1 = min(j + 1, ny - 1)
            w0, w1, w2, w3 = (one - a) * (one - b), (one - a) * b, a * (one - b), a * b
            r0, r1, r2, r3 = rows[i, j], rows[i, j1], rows[i1, j], rows[i1, j1]
            for n in range(nz * channels):
                line[n] = (w0 * r0[n] + w1 * r1[n]) + (w2 * r2[n] + w3 * r3[n])
            for z in range(out.shape[2]):
                k, d = low[starts[2] + z], part[starts[2] + z]
                k1 = min(k + 1, nz - 1)
                for c in range(channels):
                    value = line[k * channels + c] * (one - d) + line[k1 * channels + c] * d
                    out[x, y, z, c] = factors[c] * value


def resize(
    values: NDArray[np.float32], positions: tuple[NDArray[np.float64], ...], factors: NDArray[Any] | None = None
) -> NDArray[np.float32]:
    """Read an array at every combination of positions along its three axes; the edge is repeated outside.

    Args:
        values: (X, Y, Z, C) float32.
        positions: three arrays (x,), (y,), (z,) of indices of `values`.
        factors: (C,) that the results are multiplied by; None for 1.

    Returns:
        (x, y, z, C) float32.
    """
    values = np.ascontiguousarray(values, dtype=np.float32)
    clamped = [np.clip(line, 0, size - 1) for line, size in zip(positions, values.shape, strict=False)]
    every = np.concatenate(clamped)
    low = np.floor(every).astype(np.int64)
    sizes = [len(line) for line in positions]
    out = np.empty((*sizes, values.shape[-1]), np.float32)
    weights = np.ones(values.shape[-1]) if factors is None else np.asarray(factors)
    starts = np.array([0, sizes[0], sizes[0] + sizes[1]])
    arguments = (low, (every - low).astype(np.float32), starts, weights.astype(np.float32), out)
    run_ranges(_resize, sizes[0], values, *arguments)
    return out

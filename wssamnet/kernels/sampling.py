"""Interpolation of arrays at points, compiled by numba; one pass, no temporary arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from wssamnet.kernels.rows import COMPILE
from wssamnet.kernels.threads import run_ranges

BORDER, ZERO = 0, 1


@njit(inline="always", **COMPILE)
def _place(m: Any, p: Any) -> Any:  # pragma: no cover - compiled
    if m.shape[0] == 0:
        return p[0], p[1], p[2]
    x = m[0, 0] * p[0] + m[0, 1] * p[1] + m[0, 2] * p[2] + m[0, 3]
    y = m[1, 0] * p[0] + m[1, 1] * p[1] + m[1, 2] * p[2] + m[1, 3]
    z = m[2, 0] * p[0] + m[2, 1] * p[1] + m[2, 2] * p[2] + m[2, 3]
    return x, y, z


@njit(**COMPILE)
def _linear(
    begin: int, end: int, values: Any, m: Any, points: Any, outside: int, out: Any
) -> None:  # pragma: no cover - compiled
    nx, ny, nz, channels = values.shape
    for n in range(begin, end):
        x, y, z = _place(m, points[n])
        inside = -0.5 <= x <= nx - 0.5 and -0.5 <= y <= ny - 0.5 and -0.5 <= z <= nz - 0.5
        if not inside and (outside == 1 or x != x or y != y or z != z):
            for c in range(channels):
                out[n, c] = 0 if outside == 1 else np.nan
            continue
        x = min(max(x, 0.0), nx - 1.0)
        y = min(max(y, 0.0), ny - 1.0)
        z = min(max(z, 0.0), nz - 1.0)
        i, j, k = int(x), int(y), int(z)
        i1, j1, k1 = min(i + 1, nx - 1), min(j + 1, ny - 1), min(k + 1, nz - 1)
        a, b, d = x - i, y - j, z - k
        for c in range(channels):
            low = (values[i, j, k, c] * (1 - d) + values[i, j, k1, c] * d) * (1 - b) + (
                values[i, j1, k, c] * (1 - d) + values[i, j1, k1, c] * d
            ) * b
            high = (values[i1, j, k, c] * (1 - d) + values[i1, j, k1, c] * d) * (1 - b) + (
                values[i1, j1, k, c] * (1 - d) + values[i1, j1, k1, c] * d
            ) * b
            out[n, c] = low * (1 - a) + high * a


@njit(**COMPILE)
def _nearest(
    begin: int, end: int, values: Any, m: Any, points: Any, outside: int, out: Any
) -> None:  # pragma: no cover - compiled
    nx, ny, nz, channels = values.shape
    for n in range(begin, end):
        x, y, z = _place(m, points[n])
        inside = -0.5 <= x <= nx - 0.5 and -0.5 <= y <= ny - 0.5 and -0.5 <= z <= nz - 0.5
        if not inside and (outside == 1 or x != x or y != y or z != z):
            for c in range(channels):
                out[n, c] = 0
            continue
        i = int(min(max(np.floor(x + 0.5), 0), nx - 1))
        j = int(min(max(np.floor(y + 0.5), 0), ny - 1))
        k = int(min(max(np.floor(z + 0.5), 0), nz - 1))
        for c in range(channels):
            out[n, c] = values[i, j, k, c]


def sample(
    values: NDArray[Any],
    points: NDArray[Any],
    *,
    matrix: NDArray[Any] | None = None,
    order: int = 1,
    outside: str = "border",
) -> NDArray[Any]:
    """Interpolate an array at points.

    Args:
        values: (X, Y, Z) or (X, Y, Z, C); linear interpolation of integers is done in float32.
        points: (N, 3). NaN gives NaN (0 with "zero", or by nearest neighbour).
        matrix: (4, 4), from the frame of `points` to IJK of `values`; None where they are IJK.
        order: 1 linear, 0 nearest neighbour (keeps the type of `values`).
        outside: "border" repeats the edge value; "zero" gives 0 beyond half a voxel of the edge.

    Returns:
        (N,) or (N, C).
    """
    scalar = values.ndim == 3
    array = values[..., None] if scalar else values
    if order == 1 and array.dtype not in (np.float32, np.float64):
        array = array.astype(np.float32)
    array = np.ascontiguousarray(array)  # one memory order, one compiled kernel
    out = np.empty((len(points), array.shape[-1]), dtype=array.dtype)
    source, target = array, out
    if order == 0:  # copying needs no meaning, only the width: one compiled kernel for all types of a width
        source, target = (part.view(f"u{array.dtype.itemsize}") for part in (array, out))
    core = _linear if order == 1 else _nearest
    places = np.ascontiguousarray(points, dtype=np.float64)
    to_ijk = np.array(np.empty((0, 0)) if matrix is None else matrix, dtype=np.float64)
    beyond = ZERO if outside == "zero" else BORDER
    run_ranges(core, len(places), source, to_ijk, places, beyond, target, parts=4, least=4096)
    return out[:, 0] if scalar else out

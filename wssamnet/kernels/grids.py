"""Fields and images read at every voxel of a grid: rows of it, with no list of points made; compiled by numba.

A grid's points are affine in its indices, so whatever an affine map does to them is one (3, 4) matrix from the
indices. Displacements are (X, Y, Z, 3) float32 in world mm.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from wssamnet.geometry import Array
from wssamnet.kernels.rows import COMPILE
from wssamnet.kernels.threads import run_ranges

Field = NDArray[np.float32]
Shape = tuple[int, int, int]


@njit(inline="always", **COMPILE)
def _cell(x: Any, size: int, pitch: int) -> Any:  # pragma: no cover - compiled
    """Where the lower voxel lies, how far on the upper one, and its weight; NaN and beyond the edge is the edge."""
    p = x if x > 0 else 0.0
    p = p if p < size - 1.0 else size - 1.0
    low = np.uint32(p)
    part = np.float32(p - low)
    # unsigned, so that no negative index has to be looked for
    return np.uint64(low) * np.uint64(pitch), np.uint64(pitch) if part > 0 else np.uint64(0), part


@njit(inline="always", **COMPILE)
def _outside(shape: Any, x: float, y: float, z: float) -> bool:  # pragma: no cover - compiled
    """Further than half a voxel from every voxel."""
    nx, ny, nz = shape
    return not (-0.5 <= x <= nx - 0.5 and -0.5 <= y <= ny - 0.5 and -0.5 <= z <= nz - 0.5)


@njit(inline="always", **COMPILE)
def between(u: Any, o: Any, step: Any, a: Any, b: Any, d: Any) -> Any:  # pragma: no cover - compiled
    """Linear between the eight values at flat offset `o`."""
    sx, sy, sz = step
    v0, v1, v2, v3 = u[o], u[o + sz], u[o + sy], u[o + sy + sz]
    o = o + sx
    v4, v5, v6, v7 = u[o], u[o + sz], u[o + sy], u[o + sy + sz]
    v0, v2, v4, v6 = v0 + d * (v1 - v0), v2 + d * (v3 - v2), v4 + d * (v5 - v4), v6 + d * (v7 - v6)
    v0, v4 = v0 + b * (v2 - v0), v4 + b * (v6 - v4)
    return v0 + a * (v4 - v0)


@njit(**COMPILE)
def cells_of(part: Any, size: int, low: Any) -> None:  # pragma: no cover - compiled
    """Positions of a row along one axis, held at its edges, to the lower voxels and, in their own place, the weights
    of the upper ones; `size` is the axis's.

    No branch and no lookup, so that the compiler makes vector instructions of it.
    """
    zero, top, highest = np.float32(0), np.float32(size - 1), np.int32(max(size - 2, 0))
    for k in range(part.shape[0]):
        p = part[k]
        p = p if p > zero else zero
        p = p if p < top else top
        i = np.int32(p)
        i = i if i < highest else highest
        low[k] = i
        part[k] = p - np.float32(i)


@njit(inline="always", **COMPILE)
def _place(shape: Any, channels: int, x: float, y: float, z: float) -> Any:  # pragma: no cover - compiled
    """What `between` wants to know of a position."""
    nx, ny, nz = shape
    i, sx, a = _cell(x, nx, ny * nz * channels)
    j, sy, b = _cell(y, ny, nz * channels)
    k, sz, d = _cell(z, nz, channels)
    return i + j + k, (sx, sy, sz), a, b, d


@njit(inline="always", **COMPILE)
def _vector(u: Any, shape: Any, zero: bool, x: float, y: float, z: float) -> Any:  # pragma: no cover - compiled
    """The displacement at a position; `u` is flat."""
    if zero and _outside(shape, x, y, z):
        return np.float32(0), np.float32(0), np.float32(0)
    o, step, a, b, d = _place(shape, 3, x, y, z)
    return (
        between(u, o, step, a, b, d),
        between(u, o + np.uint64(1), step, a, b, d),
        between(u, o + np.uint64(2), step, a, b, d),
    )


@njit(inline="always", **COMPILE)
def start(m: Any, i: int, j: int) -> Any:  # pragma: no cover - compiled
    """What the matrix makes of (i, j, 0)."""
    return (
        m[0][0] * i + m[0][1] * j + m[0][3],
        m[1][0] * i + m[1][1] * j + m[1][3],
        m[2][0] * i + m[2][1] * j + m[2][3],
    )


@njit(inline="always", **COMPILE)
def times(m: Any, v: Any) -> Any:  # pragma: no cover - compiled
    """The (3, 3) part of the matrix times v."""
    return (
        m[0][0] * v[0] + m[0][1] * v[1] + m[0][2] * v[2],
        m[1][0] * v[0] + m[1][1] * v[1] + m[1][2] * v[2],
        m[2][0] * v[0] + m[2][1] * v[1] + m[2][2] * v[2],
    )


def scalars(matrix: Array) -> tuple[tuple[float, ...], ...]:
    """A matrix that the compiler can keep in registers: no store to an array can change it."""
    return tuple(tuple(float(x) for x in row) for row in matrix)


@njit(**COMPILE)
def _displace(
    begin: int, end: int, u: Any, shape: Any, zero: bool, place: Any, constant: Any, linear: Any, out: Any
) -> None:  # pragma: no cover - compiled
    for i in range(begin, end):
        for j in range(out.shape[1]):
            x, c = start(place, i, j), start(constant, i, j)
            for k in range(out.shape[2]):
                v = times(
                    linear,
                    _vector(u, shape, zero, x[0] + place[0][2] * k, x[1] + place[1][2] * k, x[2] + place[2][2] * k),
                )
                for n in range(3):
                    out[i, j, k, n] = c[n] + constant[n][2] * k + v[n]


def displace(u: Field, place: Array, constant: Array, linear: Array, shape: Shape, *, outside: str = "border") -> Field:
    """out(i) = constant i + linear u(place i) at all indices i of a grid.

    Args:
        u: (X, Y, Z, 3), interpolated linearly.
        place, constant: (3, 4), of homogeneous indices; `place` leads to indices of `u`.
        linear: (3, 3).
        shape: the grid's.
        outside: "border" repeats the edge's displacement, "zero" takes it for 0.

    Returns:
        (*shape, 3).
    """
    out = np.empty((*shape, 3), np.float32)
    flat = np.ascontiguousarray(u, np.float32).reshape(-1)
    matrices = (scalars(m) for m in (place, constant, linear))
    run_ranges(_displace, shape[0], flat, u.shape[:3], outside == "zero", *matrices, out, parts=4)
    return out


@njit(**COMPILE)
def _carry(
    begin: int, end: int, image: Any, shape: Any, place: Any, index: Any, u: Any, out: Any
) -> None:  # pragma: no cover - compiled
    for i in range(begin, end):
        for j in range(out.shape[1]):
            x = start(place, i, j)
            for k in range(out.shape[2]):
                v = times(index, (u[i, j, k, 0], u[i, j, k, 1], u[i, j, k, 2]))
                p = (x[0] + place[0][2] * k + v[0], x[1] + place[1][2] * k + v[1], x[2] + place[2][2] * k + v[2])
                if _outside(shape, p[0], p[1], p[2]):
                    out[i, j, k] = 0
                else:
                    o, step, a, b, d = _place(shape, 1, p[0], p[1], p[2])
                    out[i, j, k] = between(image, o, step, a, b, d)


def carry(image: NDArray[np.float32], place: Array, index: Array, u: Field) -> NDArray[np.float32]:
    """out(i) = image(place i + index u(i)): an image brought onto the grid of a displacement.

    Args:
        image: (X, Y, Z), interpolated linearly, 0 outside.
        place: (3, 4), homogeneous indices of `u` to indices of `image`.
        index: (3, 3), world mm to indices of `image`.
        u: (x, y, z, 3), world mm.

    Returns:
        (x, y, z).
    """
    out = np.empty(u.shape[:3], np.float32)
    flat = np.ascontiguousarray(image, np.float32).reshape(-1)
    matrices = (scalars(m) for m in (place, index))
    run_ranges(_carry, u.shape[0], flat, image.shape, *matrices, u, out, parts=4)
    return out

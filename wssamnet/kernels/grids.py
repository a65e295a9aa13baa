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
from wssamnet.kernels.inversion import solve
from wssamnet.kernels.rows import COMPILE
from wssamnet.kernels.threads import run_ranges

Field = NDArray[np.float32]
Shape = tuple[int, int, int]

EVERY = 2  # indices between those of a grid at which its inverse is known beforehand
_ATTEMPTS = 4  # evaluations of the field before Newton's are worth their price


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
def _read(values: Any, o: Any, step: Any, w: Any, d: Any) -> Any:  # pragma: no cover - compiled
    """Between the eight values at flat offset `o`; `w` are the weights of the four rows, `d` is along them."""
    (sx, sy, sz), (w0, w1, w2, w3), e = step, w, np.float32(1) - d
    low = w0 * (e * values[o] + d * values[o + sz]) + w1 * (e * values[o + sy] + d * values[o + sy + sz])
    o = o + sx
    return low + (w2 * (e * values[o] + d * values[o + sz]) + w3 * (e * values[o + sy] + d * values[o + sy + sz]))


@njit(inline="always", **COMPILE)
def _place(shape: Any, channels: int, x: float, y: float, z: float) -> Any:  # pragma: no cover - compiled
    """What `_read` wants to know of a position."""
    nx, ny, nz = shape
    one = np.float32(1)
    i, sx, a = _cell(x, nx, ny * nz * channels)
    j, sy, b = _cell(y, ny, nz * channels)
    k, sz, d = _cell(z, nz, channels)
    return i + j + k, (sx, sy, sz), ((one - a) * (one - b), (one - a) * b, a * (one - b), a * b), d


@njit(inline="always", **COMPILE)
def _vector(u: Any, shape: Any, zero: bool, x: float, y: float, z: float) -> Any:  # pragma: no cover - compiled
    """The displacement at a position; `u` is flat."""
    if zero and _outside(shape, x, y, z):
        return np.float32(0), np.float32(0), np.float32(0)
    o, step, w, d = _place(shape, 3, x, y, z)
    return _read(u, o, step, w, d), _read(u, o + np.uint64(1), step, w, d), _read(u, o + np.uint64(2), step, w, d)


@njit(inline="always", **COMPILE)
def _start(m: Any, i: int, j: int) -> Any:  # pragma: no cover - compiled
    """What the matrix makes of (i, j, 0)."""
    return (
        m[0][0] * i + m[0][1] * j + m[0][3],
        m[1][0] * i + m[1][1] * j + m[1][3],
        m[2][0] * i + m[2][1] * j + m[2][3],
    )


@njit(inline="always", **COMPILE)
def _times(m: Any, v: Any) -> Any:  # pragma: no cover - compiled
    """The (3, 3) part of the matrix times v."""
    return (
        m[0][0] * v[0] + m[0][1] * v[1] + m[0][2] * v[2],
        m[1][0] * v[0] + m[1][1] * v[1] + m[1][2] * v[2],
        m[2][0] * v[0] + m[2][1] * v[1] + m[2][2] * v[2],
    )


def _scalars(matrix: Array) -> tuple[tuple[float, ...], ...]:
    """A matrix that the compiler can keep in registers: no store to an array can change it."""
    return tuple(tuple(float(x) for x in row) for row in matrix)


@njit(**COMPILE)
def _displace(
    begin: int, end: int, u: Any, shape: Any, zero: bool, place: Any, constant: Any, linear: Any, out: Any
) -> None:  # pragma: no cover - compiled
    for i in range(begin, end):
        for j in range(out.shape[1]):
            x, c = _start(place, i, j), _start(constant, i, j)
            for k in range(out.shape[2]):
                v = _times(
                    linear,
                    _vector(u, shape, zero, x[0] + place[0][2] * k, x[1] + place[1][2] * k, x[2] + place[2][2] * k),
                )
                for n in range(3):
                    out[i, j, k, n] = c[n] + constant[n][2] * k + v[n]


def displace(
    u: Field, place: Array, constant: Array, linear: Array, shape: Shape, *, outside: str = "border"
) -> Field:
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
    matrices = (_scalars(m) for m in (place, constant, linear))
    run_ranges(_displace, shape[0], flat, u.shape[:3], outside == "zero", *matrices, out, parts=4)
    return out


@njit(inline="always", **COMPILE)
def _blend(coarse: Any, i: int, j: int, line: Any) -> None:  # pragma: no cover - compiled
    """Row (i, j) of the grid at the coarse indices along k: (x, 0) values, and in each cell the slopes along the
    three axes per coarse step, (x, 1), (x, 2), (x, 3)."""
    share, one, half = np.float32(1.0 / EVERY), np.float32(1), np.float32(0.5)
    ci, cj, a, b = i // EVERY, j // EVERY, np.float32(i % EVERY) * share, np.float32(j % EVERY) * share
    ci1, cj1, last = min(ci + 1, coarse.shape[0] - 1), min(cj + 1, coarse.shape[1] - 1), coarse.shape[2] - 1
    for k in range(last + 1):
        for n in range(3):
            v00, v01, v10, v11 = coarse[ci, cj, k, n], coarse[ci, cj1, k, n], coarse[ci1, cj, k, n], coarse[ci1, cj1, k, n]
            left, right = v00 + b * (v01 - v00), v10 + b * (v11 - v10)
            line[k, 0, n] = left + a * (right - left)
            line[k, 1, n] = right - left
            line[k, 2, n] = (one - a) * (v01 - v00) + a * (v11 - v10)
    for k in range(last):
        for n in range(3):
            line[k, 1, n] = half * (line[k, 1, n] + line[k + 1, 1, n])
            line[k, 2, n] = half * (line[k, 2, n] + line[k + 1, 2, n])
            line[k, 3, n] = line[k + 1, 0, n] - line[k, 0, n]
    for n in range(3):
        line[last, 3, n] = 0


@njit(**COMPILE)
def _invert(
    begin: int,
    end: int,
    u: Any,
    zero: bool,
    world: Any,
    place: Any,
    index: Any,
    point: Any,
    steps: Any,
    constant: Any,
    linear: Any,
    coarse: Any,
    iterations: int,
    tolerance: float,
    out: Any,
) -> None:  # pragma: no cover - compiled
    shape, flat = u.shape[:3], u.reshape(-1)
    line = np.empty((coarse.shape[2], 4, 3), np.float32)
    share, enough = np.float32(1.0 / EVERY), tolerance * tolerance
    for i in range(begin, end):
        for j in range(out.shape[1]):
            _blend(coarse, i, j, line)
            x, c, y = _start(place, i, j), _start(constant, i, j), _start(point, i, j)
            for k in range(out.shape[2]):
                here, d = line[np.uint32(k) // np.uint32(EVERY)], np.float32(k % EVERY) * share
                v = here[0, 0] + d * here[3, 0], here[0, 1] + d * here[3, 1], here[0, 2] + d * here[3, 2]
                x0, x1, x2 = x[0] + place[0][2] * k, x[1] + place[1][2] * k, x[2] + place[2][2] * k
                found = False
                for _ in range(_ATTEMPTS):
                    moved = _times(index, v)
                    w = _vector(flat, shape, zero, x0 + moved[0], x1 + moved[1], x2 + moved[2])
                    r = v[0] + w[0], v[1] + w[1], v[2] + w[2]
                    if r[0] * r[0] + r[1] * r[1] + r[2] * r[2] < enough:
                        found = True
                        break
                    s = _times(steps, r)  # -w is v at y + r, and v's slopes lead from there to y
                    v = (
                        np.float32(-w[0] - (here[1, 0] * s[0] + here[2, 0] * s[1] + here[3, 0] * s[2])),
                        np.float32(-w[1] - (here[1, 1] * s[0] + here[2, 1] * s[1] + here[3, 1] * s[2])),
                        np.float32(-w[2] - (here[1, 2] * s[0] + here[2, 2] * s[1] + here[3, 2] * s[2])),
                    )
                if not found:
                    q = (y[0] + point[0][2] * k, y[1] + point[1][2] * k, y[2] + point[2][2] * k)
                    p, _ = solve(u, world, q, (q[0] + v[0], q[1] + v[1], q[2] + v[2]), zero, iterations, tolerance)
                    v = np.float32(p[0] - q[0]), np.float32(p[1] - q[1]), np.float32(p[2] - q[2])
                t = _times(linear, v)
                for n in range(3):
                    out[i, j, k, n] = c[n] + constant[n][2] * k + t[n]


def displace_back(
    u: Field,
    index: Array,
    point: Array,
    constant: Array,
    linear: Array,
    coarse: Field,
    shape: Shape,
    *,
    outside: str = "border",
    iterations: int = 50,
    tolerance: float = 1e-3,
) -> Field:
    """out(i) = constant i + linear v(point i) at all indices i of a grid, where y + v(y) is the inverse of p + u(p).

    v is where `coarse` says, and then what a step or two make of it: x + u(x), x = y + v, lies at y + r instead of y,
    so that -u(x) is v at y + r, from where the slopes of `coarse` lead to y. Where that does not bring r down
    soon, Newton's steps follow (`inversion.invert_points`).

    Args:
        u: (X, Y, Z, 3), world mm, interpolated linearly.
        index: (4, 4), world mm to indices of `u`.
        point, constant: (3, 4), of homogeneous indices; `point` leads to world mm.
        linear: (3, 3).
        coarse: (x, y, z, 3), v at every `EVERY`th index of the grid from 0, the last one reached or passed.
        shape: the grid's.
        outside, iterations, tolerance: as for `invert_points`.

    Returns:
        (*shape, 3).
    """
    out = np.empty((*shape, 3), np.float32)
    place = (index @ np.vstack((point, (0, 0, 0, 1))))[:3]
    steps = np.linalg.inv(point[:, :3]) / EVERY
    matrices = (_scalars(m) for m in (place, index[:3], point, steps, constant, linear))
    values = np.ascontiguousarray(u, np.float32)
    arguments = (np.ascontiguousarray(index), *matrices, coarse, iterations, tolerance, out)
    run_ranges(_invert, shape[0], values, outside == "zero", *arguments, parts=4)
    return out


@njit(**COMPILE)
def _carry(
    begin: int, end: int, image: Any, shape: Any, place: Any, index: Any, u: Any, out: Any
) -> None:  # pragma: no cover - compiled
    for i in range(begin, end):
        for j in range(out.shape[1]):
            x = _start(place, i, j)
            for k in range(out.shape[2]):
                v = _times(index, (u[i, j, k, 0], u[i, j, k, 1], u[i, j, k, 2]))
                p = (x[0] + place[0][2] * k + v[0], x[1] + place[1][2] * k + v[1], x[2] + place[2][2] * k + v[2])
                if _outside(shape, p[0], p[1], p[2]):
                    out[i, j, k] = 0
                else:
                    o, step, w, d = _place(shape, 1, p[0], p[1], p[2])
                    out[i, j, k] = _read(image, o, step, w, d)


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
    matrices = (_scalars(m) for m in (place, index))
    run_ranges(_carry, u.shape[0], flat, image.shape, *matrices, u, out, parts=4)
    return out

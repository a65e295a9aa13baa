"""The inverse of a displacement field at every voxel of a grid, from what every other voxel of it says."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from wssamnet.geometry import Array
from wssamnet.kernels.grids import Field, Shape, between, cells_of, scalars, start, times
from wssamnet.kernels.inversion import solve
from wssamnet.kernels.rows import COMPILE
from wssamnet.kernels.threads import run_ranges

EVERY = 2  # indices between those of a grid at which its inverse is known beforehand
_ATTEMPTS = 3  # looks at the field before Newton's are worth their price


@njit(inline="always", **COMPILE)
def _blend(coarse: Any, i: int, j: int, line: Any) -> None:  # pragma: no cover - compiled
    """Row (i, j) of the grid at the coarse indices along k: (x, 0) values, and in each cell the slopes along the
    three axes per coarse step, (x, 1), (x, 2), (x, 3)."""
    share, one, half = np.float32(1.0 / EVERY), np.float32(1), np.float32(0.5)
    ci, cj, a, b = i // EVERY, j // EVERY, np.float32(i % EVERY) * share, np.float32(j % EVERY) * share
    ci1, cj1, last = min(ci + 1, coarse.shape[0] - 1), min(cj + 1, coarse.shape[1] - 1), coarse.shape[2] - 1
    for k in range(last + 1):
        for n in range(3):
            v00, v01, v10, v11 = (
                coarse[ci, cj, k, n],
                coarse[ci, cj1, k, n],
                coarse[ci1, cj, k, n],
                coarse[ci1, cj1, k, n],
            )
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
def _along(
    begin: Any, step: Any, m: Any, v: Any, size: int, low: Any, part: Any
) -> None:  # pragma: no cover - compiled
    """Where row v (3, n) reads along one axis; see `cells_of`."""
    m0, m1, m2 = np.float32(m[0]), np.float32(m[1]), np.float32(m[2])
    v0, v1, v2 = v[0], v[1], v[2]
    for k in range(part.shape[0]):
        part[k] = begin + step * np.float32(k) + (m0 * v0[k] + m1 * v1[k] + m2 * v2[k])
    cells_of(part, size, low)


@njit(**COMPILE)
def _improve(
    u: Any,
    shape: Any,
    x: Any,
    place: Any,
    index: Any,
    steps: Any,
    line: Any,
    enough: Any,
    v: Any,
    low: Any,
    part: Any,
    offset: Any,
    done: Any,
) -> int:  # pragma: no cover - compiled
    """One step for all points of a row of v (3, n) that are not `done`; how many are left that were not."""
    nx, ny, nz = shape
    step = (
        np.uint64(ny * nz * 3 if nx > 1 else 0),
        np.uint64(nz * 3 if ny > 1 else 0),
        np.uint64(3 if nz > 1 else 0),
    )
    _along(np.float32(x[0]), np.float32(place[0][2]), index[0], v, nx, low[0], part[0])
    _along(np.float32(x[1]), np.float32(place[1][2]), index[1], v, ny, low[1], part[1])
    _along(np.float32(x[2]), np.float32(place[2][2]), index[2], v, nz, low[2], part[2])
    l0, l1, l2 = low[0], low[1], low[2]
    for k in range(offset.shape[0]):
        offset[k] = 3 * ((l0[k] * ny + l1[k]) * nz + l2[k])
    a, b, d, v0, v1, v2 = part[0], part[1], part[2], v[0], v[1], v[2]
    left = 0
    for k in range(offset.shape[0]):
        if done[k]:
            continue
        o = np.uint64(offset[k])
        w0 = between(u, o, step, a[k], b[k], d[k])
        w1 = between(u, o + np.uint64(1), step, a[k], b[k], d[k])
        w2 = between(u, o + np.uint64(2), step, a[k], b[k], d[k])
        r = (v0[k] + w0, v1[k] + w1, v2[k] + w2)
        if r[0] * r[0] + r[1] * r[1] + r[2] * r[2] < enough:
            done[k] = True
            continue
        here = line[np.uint32(k) // np.uint32(EVERY)]
        s = times(steps, r)  # -w is v at y + r, and v's slopes lead from there to y
        v0[k] = -w0 - (here[1, 0] * s[0] + here[2, 0] * s[1] + here[3, 0] * s[2])
        v1[k] = -w1 - (here[1, 1] * s[0] + here[2, 1] * s[1] + here[3, 1] * s[2])
        v2[k] = -w2 - (here[1, 2] * s[0] + here[2, 2] * s[1] + here[3, 2] * s[2])
        left += 1
    return left


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
    shape, flat, n = u.shape[:3], u.reshape(-1), out.shape[2]
    line = np.empty((coarse.shape[2], 4, 3), np.float32)
    v, part, low = np.empty((3, n), np.float32), np.empty((3, n), np.float32), np.empty((3, n), np.int32)
    offset, done = np.empty(n, np.int64), np.empty(n, np.bool_)
    share, enough = np.float32(1.0 / EVERY), np.float32(tolerance * tolerance)
    for i in range(begin, end):
        for j in range(out.shape[1]):
            _blend(coarse, i, j, line)
            x, c, y = start(place, i, j), start(constant, i, j), start(point, i, j)
            for k in range(n):
                here, d = line[np.uint32(k) // np.uint32(EVERY)], np.float32(k % EVERY) * share
                for m in range(3):
                    v[m, k] = here[0, m] + d * here[3, m]
                done[k] = False
            left = 0 if zero else n  # a field that ends at its border is not everywhere what is read here
            for _ in range(_ATTEMPTS):
                if left > 0:
                    left = _improve(flat, shape, x, place, index, steps, line, enough, v, low, part, offset, done)
            for k in range(n):
                if not done[k]:
                    q = (y[0] + point[0][2] * k, y[1] + point[1][2] * k, y[2] + point[2][2] * k)
                    p = (q[0] + v[0, k], q[1] + v[1, k], q[2] + v[2, k])
                    p, _ = solve(u, world, q, p, zero, iterations, tolerance)
                    for m in range(3):
                        v[m, k] = p[m] - q[m]
                t = times(linear, (v[0, k], v[1, k], v[2, k]))
                for m in range(3):
                    out[i, j, k, m] = c[m] + constant[m][2] * k + t[m]


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
    matrices = (scalars(m) for m in (place, index[:3], point, steps, constant, linear))
    values = np.ascontiguousarray(u, np.float32)
    arguments = (np.ascontiguousarray(index), *matrices, coarse, iterations, tolerance, out)
    run_ranges(_invert, shape[0], values, outside == "zero", *arguments, parts=4)
    return out

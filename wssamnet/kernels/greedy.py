"""The steps of a greedy compositional registration: warp, force, Adam, composition; compiled by numba.

Displacements are (x, y, z, 3) float32, pull-back, in voxels of the images: the warped image at p is the moving image at
p + u(p). The field may live on blocks of those voxels, `factors` of them along each axis (the last block may be
smaller): its value i belongs to the centre of block i, and between the centres it is linear.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from wssamnet.kernels.grids import between, cells_of
from wssamnet.kernels.rows import COMPILE
from wssamnet.kernels.threads import run_ranges

Field = NDArray[np.float32]
Factors = NDArray[np.int64]
Rows = NDArray[np.int32]


@njit(inline="always", **COMPILE)
def _cell(position: Any, size: int) -> Any:  # pragma: no cover - compiled
    """Lower index, upper index and weight of the upper one; positions beyond the edge are clamped to it."""
    p = min(max(position, np.float32(0)), np.float32(size - 1))
    low = min(int(p), max(size - 2, 0))
    return low, min(low + 1, size - 1), p - np.float32(low)


@njit(inline="always", **COMPILE)
def _between(index: Any, factor: Any, size: int) -> Any:  # pragma: no cover - compiled
    """The cell of a voxel among the centres of blocks of so many voxels."""
    f = np.float32(factor)
    return _cell((np.float32(index) + np.float32(0.5)) / f - np.float32(0.5), size)


@njit(**COMPILE)
def _reach(begin: int, end: int, image: Any, reach: int, rows: Any, out: Any) -> None:  # pragma: no cover - compiled
    """Dilate the extents `rows` (X, Y, 2) of the planes by `reach` in x and y, and by `reach` along z, into `out`."""
    nx, ny, nz = image.shape
    for x in range(begin, end):
        for y in range(ny):
            low, high = nz, 0
            for i in range(max(x - reach, 0), min(x + reach + 1, nx)):
                for j in range(max(y - reach, 0), min(y + reach + 1, ny)):
                    low, high = min(low, rows[i, j, 0]), max(high, rows[i, j, 1])
            out[x, y, 0], out[x, y, 1] = (max(low - reach, 0), min(high + reach, nz)) if low < high else (0, 0)


@njit(**COMPILE)
def _extents(begin: int, end: int, image: Any, out: Any) -> None:  # pragma: no cover - compiled
    _, ny, nz = image.shape
    for x in range(begin, end):
        for y in range(ny):
            low, high = 0, nz
            while low < nz and image[x, y, low] == 0:
                low += 1
            while high > low and image[x, y, high - 1] == 0:
                high -= 1
            out[x, y, 0], out[x, y, 1] = (low, high) if low < high else (nz, 0)


@njit(**COMPILE)
def _along(
    start: Any, step: Any, line: Any, cells: Any, weights: Any, size: int, low: Any, part: Any
) -> None:  # pragma: no cover - compiled
    """Where a row of voxels is moved to along one axis; see `cells_of`.

    `line` holds the displacement at the blocks of the row, `cells` and `weights` how the voxels lie among them.
    """
    for z in range(cells.shape[0]):
        cell = np.uint32(cells[z])
        moved = line[cell] + weights[z] * (line[cell + np.uint32(1)] - line[cell])
        part[z] = start + step * np.float32(z) + moved
    cells_of(part[: cells.shape[0]], size, low)


@njit(**COMPILE)
def _warp(
    begin: int, end: int, image: Any, shape: Any, u: Any, factors: Any, rows: Any, out: Any
) -> None:  # pragma: no cover - compiled
    nx, ny, nz = shape
    cx, cy, cz, _ = u.shape
    zero, one = np.float32(0), np.float32(1)
    line = np.zeros((3, cz + 1), np.float32)  # the entry beyond the last has no weight
    cells, weights = np.empty(nz, np.int32), np.empty(nz, np.float32)
    for z in range(nz):
        cells[z], _, weights[z] = _between(z, factors[2], cz)
    low, part = np.empty((3, nz), np.int32), np.empty((3, nz), np.float32)
    offset = np.empty(nz, np.int64)
    # unsigned, so that no negative index has to be looked for; an axis of one voxel has no upper one
    sx = np.uint64(ny * nz if nx > 1 else 0)
    sy = np.uint64(nz if ny > 1 else 0)
    sz = np.uint64(1 if nz > 1 else 0)
    for x in range(begin, end):
        bx, bx1, fx = _between(x, factors[0], cx)
        for y in range(ny):
            first, last = rows[x, y, 0], rows[x, y, 1]
            out[x, y, :first] = 0
            out[x, y, last:] = 0
            if first >= last:
                continue
            by, by1, fy = _between(y, factors[1], cy)
            w0, w1, w2, w3 = (one - fx) * (one - fy), (one - fx) * fy, fx * (one - fy), fx * fy
            u0, u1, u2, u3 = u[bx, by], u[bx, by1], u[bx1, by], u[bx1, by1]
            for z in range(cz):
                for c in range(3):
                    line[c, z] = (w0 * u0[z, c] + w1 * u1[z, c]) + (w2 * u2[z, c] + w3 * u3[z, c])
            _along(np.float32(x), zero, line[0], cells[first:last], weights[first:last], nx, low[0], part[0])
            _along(np.float32(y), zero, line[1], cells[first:last], weights[first:last], ny, low[1], part[1])
            _along(np.float32(first), one, line[2], cells[first:last], weights[first:last], nz, low[2], part[2])
            i, j, k = low[0], low[1], low[2]
            for z in range(last - first):
                offset[z] = (i[z] * ny + j[z]) * nz + k[z]
            a, b, d, target = part[0], part[1], part[2], out[x, y, first:last]
            for z in range(last - first):
                target[z] = between(image, np.uint64(offset[z]), (sx, sy, sz), a[z], b[z], d[z])


@njit(**COMPILE)
def _compose(
    begin: int, end: int, u: Any, v: Any, scale: float, factors: Any, out: Any
) -> None:  # pragma: no cover - compiled
    nx, ny, nz, _ = u.shape
    f0, f1, f2 = np.float32(1 / factors[0]), np.float32(1 / factors[1]), np.float32(1 / factors[2])
    one, s = np.float32(1), np.float32(scale)
    for x in range(begin, end):
        for y in range(ny):
            for z in range(nz):
                v0, v1, v2 = s * v[x, y, z, 0], s * v[x, y, z, 1], s * v[x, y, z, 2]
                i, i1, a = _cell(np.float32(x) + f0 * v0, nx)
                j, j1, b = _cell(np.float32(y) + f1 * v1, ny)
                k, k1, d = _cell(np.float32(z) + f2 * v2, nz)
                e = one - d
                w0, w1, w2, w3 = (one - a) * (one - b), (one - a) * b, a * (one - b), a * b
                for c in range(3):
                    value = w0 * (e * u[i, j, k, c] + d * u[i, j, k1, c])
                    value += w1 * (e * u[i, j1, k, c] + d * u[i, j1, k1, c])
                    value += w2 * (e * u[i1, j, k, c] + d * u[i1, j, k1, c])
                    value += w3 * (e * u[i1, j1, k, c] + d * u[i1, j1, k1, c])
                    out[x, y, z, c] = value
                out[x, y, z, 0] += v0
                out[x, y, z, 1] += v1
                out[x, y, z, 2] += v2


@njit(**COMPILE)
def _add_force(
    begin: int, end: int, slope: Any, image: Any, factors: Any, rows: Any, out: Any
) -> None:  # pragma: no cover - compiled
    nx, ny, nz = image.shape
    _, cy, cz, _ = out.shape
    fx, fy, fz = factors[0], factors[1], factors[2]
    half = np.float32(0.5)
    line = np.empty((3, cz * fz), np.float32)
    gx, gy, gz = line[0], line[1], line[2]
    for p in range(begin, end):
        for q in range(cy):
            first, last = nz, 0
            for x in range(p * fx, min(p * fx + fx, nx)):
                for y in range(q * fy, min(q * fy + fy, ny)):
                    if rows[x, y, 0] < rows[x, y, 1]:
                        first, last = min(first, rows[x, y, 0]), max(last, rows[x, y, 1])
            if first >= last:
                continue
            line[:] = 0
            for x in range(p * fx, min(p * fx + fx, nx)):
                x0, x1 = max(x - 1, 0), min(x + 1, nx - 1)
                for y in range(q * fy, min(q * fy + fy, ny)):
                    y0, y1 = max(y - 1, 0), min(y + 1, ny - 1)
                    s, here = slope[x, y], image[x, y]
                    left, right, below, above = image[x0, y], image[x1, y], image[x, y0], image[x, y1]
                    for z in range(first, last):
                        gx[z] += s[z] * (right[z] - left[z])
                        gy[z] += s[z] * (above[z] - below[z])
                    for z in range(max(first, 1), min(last, nz - 1)):
                        gz[z] += s[z] * (here[z + 1] - here[z - 1])
                    if first == 0:
                        gz[0] += s[0] * (here[min(1, nz - 1)] - here[0])
                    if last == nz:
                        gz[nz - 1] += s[nz - 1] * (here[nz - 1] - here[max(nz - 2, 0)])
            wide = (min(p * fx + fx, nx) - p * fx) * (min(q * fy + fy, ny) - q * fy)
            for k in range(first // fz, (last + fz - 1) // fz):
                weight = half / np.float32(wide * (min(k * fz + fz, nz) - k * fz))
                for c in range(3):
                    total = np.float32(0)
                    for z in range(k * fz, k * fz + fz):
                        total += line[c, z]
                    out[p, q, k, c] += weight * total


@njit(**COMPILE)
def _adam(
    begin: int,
    end: int,
    gradient: Any,
    first: Any,
    second: Any,
    keep1: float,
    keep2: float,
    turn: int,
    floor: float,
    out: Any,
) -> None:  # pragma: no cover - compiled
    b1, b2 = np.float32(keep1), np.float32(keep2)
    new1, new2 = np.float32(1) - b1, np.float32(1) - b2
    c1 = np.float32(1 / (1 - keep1**turn))
    c2 = np.float32(1 / (1 - keep2**turn))
    least = np.float32(floor)
    _, ny, nz, _ = gradient.shape
    for x in range(begin, end):
        for y in range(ny):
            for z in range(nz):
                g0, g1, g2 = gradient[x, y, z, 0], gradient[x, y, z, 1], gradient[x, y, z, 2]
                v = b2 * second[x, y, z] + new2 * (g0 * g0 + g1 * g1 + g2 * g2)
                second[x, y, z] = v
                scale = c1 / (np.sqrt(v * c2) + least)
                m0 = b1 * first[x, y, z, 0] + new1 * g0
                m1 = b1 * first[x, y, z, 1] + new1 * g1
                m2 = b1 * first[x, y, z, 2] + new1 * g2
                first[x, y, z, 0], first[x, y, z, 1], first[x, y, z, 2] = m0, m1, m2
                out[x, y, z, 0], out[x, y, z, 1], out[x, y, z, 2] = scale * m0, scale * m1, scale * m2


def rows_within(image: NDArray[np.float32], reach: int) -> Rows:
    """Where a registration has anything to do: per row, first and last + 1 of the voxels near content.

    Args:
        image: (X, Y, Z), background 0.
        reach: voxels, along every axis, by which its content is widened.

    Returns:
        (X, Y, 2) int32; 0, 0 for a row without any.
    """
    nx, ny, _ = image.shape
    own, out = np.empty((nx, ny, 2), np.int32), np.empty((nx, ny, 2), np.int32)
    run_ranges(_extents, nx, image, own)
    run_ranges(_reach, nx, image, reach, own, out, parts=4)
    return out


def warp(
    image: NDArray[np.float32], u: Field, factors: Factors, rows: Rows, out: NDArray[np.float32]
) -> NDArray[np.float32]:
    """out(p) = image(p + u(p)), (X, Y, Z), linear, the edge repeated outside; 0 beyond `rows`."""
    run_ranges(_warp, image.shape[0], image.reshape(-1), image.shape, u, factors, rows, out, parts=4)
    return out


def compose(u: Field, step: Field, scale: float, factors: Factors, out: Field) -> Field:
    """out(p) = s v(p) + u(p + s v(p)): first the step, then the field; `out` must not be `u`."""
    run_ranges(_compose, u.shape[0], u, step, scale, factors, out)
    return out


def add_force(
    slope: NDArray[np.float32], warped: NDArray[np.float32], factors: Factors, rows: Rows, out: Field
) -> Field:
    """out += the mean over each block of slope · ∇warped (central differences): the gradient of a similarity with
    respect to the composed step; `slope` is 0 beyond `rows`."""
    run_ranges(_add_force, out.shape[0], slope, warped, factors, rows, out, parts=4)
    return out


def adam(
    gradient: Field,
    first: Field,
    second: NDArray[np.float32],
    turn: int,
    out: Field,
    *,
    betas: tuple[float, float],
    floor: float = 0.0,
) -> Field:
    """Adam's bias-corrected direction of step `turn` (from 1), with one second moment for the three components.

    A vector keeps its direction, whichever way the axes lie; a moment for each would turn it towards the diagonals.

    Args:
        gradient: (X, Y, Z, 3).
        first, second: the moments, (X, Y, Z, 3) and (X, Y, Z), of the vector and of its squared length; updated.
        turn: see above.
        out: receives the direction.
        betas: how much of either moment is kept.
        floor: added to the root of the second moment: gradients far shorter than it give short directions.

    Returns:
        `out`.
    """
    least = max(floor, 1e-12)  # nothing is divided by 0
    run_ranges(_adam, gradient.shape[0], gradient, first, second, betas[0], betas[1], turn, least, out)
    return out

"""Where a displacement field sends its points *from*: its inverse at many points, compiled by numba."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from wssamnet.kernels.rows import COMPILE
from wssamnet.kernels.threads import run_ranges

_SHORTEST_STEP = 1.0 / 64
_RUN = 64  # points that are solved one after the other, each from where the two before it lead
_NEARLY_FOLDED = 0.05  # det J below which Newton's step is not trusted
_EVEN = 1e-6  # mm: three points further from even spacing are no row


@njit(inline="always", **COMPILE)
def _linear(u: Any, low: Any, high: Any, part: Any, c: int) -> Any:  # pragma: no cover - compiled
    """Component c between eight voxels, and its slopes along i, j, k."""
    (i, j, k), (i1, j1, k1), (a, b, d) = low, high, part
    v00, v01, v10, v11 = u[i, j, k, c], u[i, j1, k, c], u[i1, j, k, c], u[i1, j1, k, c]
    s00, s01, s10, s11 = u[i, j, k1, c] - v00, u[i, j1, k1, c] - v01, u[i1, j, k1, c] - v10, u[i1, j1, k1, c] - v11
    v00, v01, v10, v11 = v00 + d * s00, v01 + d * s01, v10 + d * s10, v11 + d * s11
    left, right = v00 + b * (v01 - v00), v10 + b * (v11 - v10)
    along_j = v01 - v00 + a * (v11 - v10 - v01 + v00)
    along_k = (1 - a) * (s00 + b * (s01 - s00)) + a * (s10 + b * (s11 - s10))
    return left + a * (right - left), right - left, along_j, along_k


@njit(inline="always", **COMPILE)
def _newton(s: Any, row0: Any, row1: Any, row2: Any, m: Any) -> Any:  # pragma: no cover - compiled
    """The step that removes the residual `s` (mm) if u is linear, from u's slopes per voxel; `s` itself near a fold."""
    j00 = 1 + row0[0] * m[0, 0] + row0[1] * m[1, 0] + row0[2] * m[2, 0]
    j01 = row0[0] * m[0, 1] + row0[1] * m[1, 1] + row0[2] * m[2, 1]
    j02 = row0[0] * m[0, 2] + row0[1] * m[1, 2] + row0[2] * m[2, 2]
    j10 = row1[0] * m[0, 0] + row1[1] * m[1, 0] + row1[2] * m[2, 0]
    j11 = 1 + row1[0] * m[0, 1] + row1[1] * m[1, 1] + row1[2] * m[2, 1]
    j12 = row1[0] * m[0, 2] + row1[1] * m[1, 2] + row1[2] * m[2, 2]
    j20 = row2[0] * m[0, 0] + row2[1] * m[1, 0] + row2[2] * m[2, 0]
    j21 = row2[0] * m[0, 1] + row2[1] * m[1, 1] + row2[2] * m[2, 1]
    j22 = 1 + row2[0] * m[0, 2] + row2[1] * m[1, 2] + row2[2] * m[2, 2]
    c0, c1, c2 = j11 * j22 - j12 * j21, j12 * j20 - j10 * j22, j10 * j21 - j11 * j20
    determinant = j00 * c0 + j01 * c1 + j02 * c2
    if not determinant > _NEARLY_FOLDED:
        return s
    d0 = c0 * s[0] + (j02 * j21 - j01 * j22) * s[1] + (j01 * j12 - j02 * j11) * s[2]
    d1 = c1 * s[0] + (j00 * j22 - j02 * j20) * s[1] + (j02 * j10 - j00 * j12) * s[2]
    d2 = c2 * s[0] + (j01 * j20 - j00 * j21) * s[1] + (j00 * j11 - j01 * j10) * s[2]
    return d0 / determinant, d1 / determinant, d2 / determinant


@njit(inline="always", **COMPILE)
def _residual(u: Any, m: Any, y: Any, p: Any, zero: bool) -> Any:  # pragma: no cover - compiled
    """y - p - u(p), and the step from p that should remove it."""
    nx, ny, nz, _ = u.shape
    x = m[0, 0] * p[0] + m[0, 1] * p[1] + m[0, 2] * p[2] + m[0, 3]
    y_ = m[1, 0] * p[0] + m[1, 1] * p[1] + m[1, 2] * p[2] + m[1, 3]
    z = m[2, 0] * p[0] + m[2, 1] * p[1] + m[2, 2] * p[2] + m[2, 3]
    gap = (y[0] - p[0], y[1] - p[1], y[2] - p[2])
    if x != x or y_ != y_ or z != z:  # NaN has no index
        return gap, gap
    if zero and not _within(u, m, p):
        return gap, gap
    slopes = (0.0 if x < 0 else 1.0, 0.0 if y_ < 0 else 1.0, 0.0 if z < 0 else 1.0)  # beyond the edge u is constant
    x, y_, z = min(max(x, 0.0), nx - 1.0), min(max(y_, 0.0), ny - 1.0), min(max(z, 0.0), nz - 1.0)
    low = (int(x), int(y_), int(z))
    high = (min(low[0] + 1, nx - 1), min(low[1] + 1, ny - 1), min(low[2] + 1, nz - 1))
    part = (x - low[0], y_ - low[1], z - low[2])
    u0, a0, b0, c0 = _linear(u, low, high, part, 0)
    u1, a1, b1, c1 = _linear(u, low, high, part, 1)
    u2, a2, b2, c2 = _linear(u, low, high, part, 2)
    s = (gap[0] - u0, gap[1] - u1, gap[2] - u2)
    row0 = (a0 * slopes[0], b0 * slopes[1], c0 * slopes[2])
    row1 = (a1 * slopes[0], b1 * slopes[1], c1 * slopes[2])
    row2 = (a2 * slopes[0], b2 * slopes[1], c2 * slopes[2])
    return s, _newton(s, row0, row1, row2, m)


@njit(inline="always", **COMPILE)
def _within(u: Any, m: Any, p: Any) -> Any:  # pragma: no cover - compiled
    """Whether p lies in the grid, its outermost half voxel included."""
    x = m[0, 0] * p[0] + m[0, 1] * p[1] + m[0, 2] * p[2] + m[0, 3]
    y = m[1, 0] * p[0] + m[1, 1] * p[1] + m[1, 2] * p[2] + m[1, 3]
    z = m[2, 0] * p[0] + m[2, 1] * p[1] + m[2, 2] * p[2] + m[2, 3]
    return -0.5 <= x <= u.shape[0] - 0.5 and -0.5 <= y <= u.shape[1] - 0.5 and -0.5 <= z <= u.shape[2] - 0.5


@njit(**COMPILE)
def solve(
    u: Any, m: Any, y: Any, p: Any, zero: bool, iterations: int, tolerance: float
) -> Any:  # pragma: no cover - compiled
    """From p to where x + u(x) = y, and the residual that is left; see `invert_points`."""
    found, left = _descend(u, m, y, p, False, iterations, tolerance)
    if zero and not (left < tolerance and _within(u, m, found)):
        return _descend(u, m, y, p, True, iterations, tolerance)
    return found, left


@njit(**COMPILE)
def _descend(
    u: Any, m: Any, y: Any, p: Any, zero: bool, iterations: int, tolerance: float
) -> Any:  # pragma: no cover - compiled
    """`solve` with the field as it is said to be outside its grid."""
    best, found, onwards, step = np.inf, p, (0.0, 0.0, 0.0), 1.0
    for _ in range(iterations + 1):
        s, ahead = _residual(u, m, y, p, zero)
        size = s[0] * s[0] + s[1] * s[1] + s[2] * s[2]
        if size < best:
            best, found, onwards = size, p, ahead
            step = min(2 * step, 1.0)
            if best < tolerance * tolerance:
                break
        elif step > _SHORTEST_STEP:
            step *= 0.5
        else:
            break
        p = (found[0] + step * onwards[0], found[1] + step * onwards[1], found[2] + step * onwards[2])
    return found, np.sqrt(best)


@njit(**COMPILE)
def _invert(
    begin: int,
    end: int,
    u: Any,
    m: Any,
    targets: Any,
    zero: bool,
    iterations: int,
    tolerance: float,
    out: Any,
    residual: Any,
) -> None:  # pragma: no cover - compiled
    for n in range(begin * _RUN, min(end * _RUN, len(targets))):
        y = (targets[n, 0], targets[n, 1], targets[n, 2])
        p = y
        if n % _RUN > 1 and residual[n - 1] < tolerance and residual[n - 2] < tolerance:
            e0 = y[0] - 2 * targets[n - 1, 0] + targets[n - 2, 0]
            e1 = y[1] - 2 * targets[n - 1, 1] + targets[n - 2, 1]
            e2 = y[2] - 2 * targets[n - 1, 2] + targets[n - 2, 2]
            if e0 * e0 + e1 * e1 + e2 * e2 < _EVEN * _EVEN:  # on along a row: start where a straight line leads
                p = (
                    2 * out[n - 1, 0] - out[n - 2, 0],
                    2 * out[n - 1, 1] - out[n - 2, 1],
                    2 * out[n - 1, 2] - out[n - 2, 2],
                )
        found, residual[n] = solve(u, m, y, p, zero, iterations, tolerance)
        out[n, 0], out[n, 1], out[n, 2] = found


def invert_points(
    displacement: NDArray[np.float32],
    ijk_from_world: NDArray[np.float64],
    points: NDArray[np.float64],
    *,
    outside: str = "border",
    iterations: int = 50,
    tolerance: float = 1e-3,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Solve ``x + u(x) = y`` for x by a damped Newton iteration.

    ``x ← x + s J⁻¹(y - x - u(x))`` with J = 1 + ∂u, and J = 1 where space nearly folds, from x = y; or from
    where the two points before lead if all three lie evenly along a row, as a grid's do. s is 1, is halved and the
    step repeated from the best point whenever it does not lower the residual, and grows again when it does.

    Args:
        displacement: (X, Y, Z, 3) u, world mm, interpolated linearly.
        ijk_from_world: (4, 4), world mm to voxel indices of `displacement`.
        points: (N, 3) y, world mm.
        outside: "border" repeats the edge's displacement, "zero" leaves points unmoved there; a point outside that
            one within is sent to then comes from it, although it could be said to have stayed where it is.
        iterations: at most so many steps.
        tolerance: mm; a point whose residual is below it is done.

    Returns:
        (N, 3) x, world mm, the best met on the way, and (N,) its residual ``|y - x - u(x)|`` in mm.
    """
    y = np.ascontiguousarray(points, dtype=np.float64)
    x, residual = np.empty_like(y), np.empty(len(y))
    matrix = np.ascontiguousarray(ijk_from_world, dtype=np.float64)
    zero = outside == "zero"
    runs = -(-len(y) // _RUN)  # the same ones for any number of threads
    run_ranges(_invert, runs, displacement, matrix, y, zero, iterations, tolerance, x, residual, parts=4, least=8)
    return x, residual

"""Where a displacement field sends its points *from*: its inverse at many points, compiled by numba."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from wssamnet.kernels.rows import COMPILE
from wssamnet.kernels.threads import run_ranges

_SHORTEST_STEP = 1.0 / 64


@njit(inline="always", **COMPILE)
def _displacement(u: Any, x: float, y: float, z: float, zero: bool) -> Any:  # pragma: no cover - compiled
    nx, ny, nz, _ = u.shape
    if x != x or y != y or z != z:  # NaN has no index
        return np.nan, np.nan, np.nan
    if zero and not (-0.5 <= x <= nx - 0.5 and -0.5 <= y <= ny - 0.5 and -0.5 <= z <= nz - 0.5):
        return 0.0, 0.0, 0.0
    x = min(max(x, 0.0), nx - 1.0)
    y = min(max(y, 0.0), ny - 1.0)
    z = min(max(z, 0.0), nz - 1.0)
    i, j, k = int(x), int(y), int(z)
    i1, j1, k1 = min(i + 1, nx - 1), min(j + 1, ny - 1), min(k + 1, nz - 1)
    a, b, d = x - i, y - j, z - k
    w0, w1, w2, w3 = (1 - a) * (1 - b), (1 - a) * b, a * (1 - b), a * b
    e = 1 - d
    first = w0 * (e * u[i, j, k, 0] + d * u[i, j, k1, 0]) + w1 * (e * u[i, j1, k, 0] + d * u[i, j1, k1, 0])
    first += w2 * (e * u[i1, j, k, 0] + d * u[i1, j, k1, 0]) + w3 * (e * u[i1, j1, k, 0] + d * u[i1, j1, k1, 0])
    second = w0 * (e * u[i, j, k, 1] + d * u[i, j, k1, 1]) + w1 * (e * u[i, j1, k, 1] + d * u[i, j1, k1, 1])
    second += w2 * (e * u[i1, j, k, 1] + d * u[i1, j, k1, 1]) + w3 * (e * u[i1, j1, k, 1] + d * u[i1, j1, k1, 1])
    third = w0 * (e * u[i, j, k, 2] + d * u[i, j, k1, 2]) + w1 * (e * u[i, j1, k, 2] + d * u[i, j1, k1, 2])
    third += w2 * (e * u[i1, j, k, 2] + d * u[i1, j, k1, 2]) + w3 * (e * u[i1, j1, k, 2] + d * u[i1, j1, k1, 2])
    return first, second, third


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
    for n in range(begin, end):
        y0, y1, y2 = targets[n, 0], targets[n, 1], targets[n, 2]
        # best point so far, its residual (mm), and the point under trial
        b0, b1, b2 = y0, y1, y2
        r0, r1, r2 = 0.0, 0.0, 0.0
        p0, p1, p2 = y0, y1, y2
        best = np.inf
        step = 1.0
        for _ in range(iterations + 1):
            i = m[0, 0] * p0 + m[0, 1] * p1 + m[0, 2] * p2 + m[0, 3]
            j = m[1, 0] * p0 + m[1, 1] * p1 + m[1, 2] * p2 + m[1, 3]
            k = m[2, 0] * p0 + m[2, 1] * p1 + m[2, 2] * p2 + m[2, 3]
            u0, u1, u2 = _displacement(u, i, j, k, zero)
            s0, s1, s2 = y0 - p0 - u0, y1 - p1 - u1, y2 - p2 - u2
            size = s0 * s0 + s1 * s1 + s2 * s2
            if size < best:
                best = size
                b0, b1, b2 = p0, p1, p2
                r0, r1, r2 = s0, s1, s2
                if best < tolerance * tolerance:
                    break
            elif step > _SHORTEST_STEP:
                step *= 0.5
            else:
                break
            p0, p1, p2 = b0 + step * r0, b1 + step * r1, b2 + step * r2
        out[n, 0], out[n, 1], out[n, 2] = b0, b1, b2
        residual[n] = np.sqrt(best)


def invert_points(
    displacement: NDArray[np.float32],
    ijk_from_world: NDArray[np.float64],
    points: NDArray[np.float64],
    *,
    outside: str = "border",
    iterations: int = 50,
    tolerance: float = 1e-3,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Solve ``x + u(x) = y`` for x by damped fixed-point iteration.

    ``x ← x + s (y - x - u(x))`` from x = y, with s = 1 until a step does not lower the residual;
    then s is halved and the step repeated from the best point. The plain iteration (s = 1
    throughout) converges only where ``‖∂u‖ < 1``; the damped one also where space is stretched
    by more than two, up to the first fold.

    Args:
        displacement: (X, Y, Z, 3) u, world mm, interpolated linearly.
        ijk_from_world: (4, 4), world mm to voxel indices of `displacement`.
        points: (N, 3) y, world mm.
        outside: "border" repeats the edge's displacement, "zero" leaves points unmoved there.
        iterations: at most so many steps.
        tolerance: mm; a point whose residual is below it is done.

    Returns:
        (N, 3) x, world mm, the best met on the way, and (N,) its residual ``|y - x - u(x)|`` in mm.
    """
    y = np.ascontiguousarray(points, dtype=np.float64)
    x, residual = np.empty_like(y), np.empty(len(y))
    matrix = np.ascontiguousarray(ijk_from_world, dtype=np.float64)
    zero = outside == "zero"
    run_ranges(_invert, len(y), displacement, matrix, y, zero, iterations, tolerance, x, residual, parts=4, least=512)
    return x, residual

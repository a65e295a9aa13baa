"""Jacobian determinant of a displacement field in one pass."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from wssamnet.kernels.rows import COMPILE
from wssamnet.kernels.threads import run_ranges


@njit(inline="always", **COMPILE)
def _slope(rows: Any, before: int, after: int, c: int) -> Any:  # pragma: no cover - compiled
    """Difference of component c between two places of an axis, per voxel; 0 where they are one place."""
    if before == after:
        return np.float32(0)
    return (rows[after, c] - rows[before, c]) / np.float32(after - before)


@njit(**COMPILE)
def _determinant(begin: int, end: int, u: Any, m: Any, out: Any) -> None:  # pragma: no cover - compiled
    nx, ny, nz, _ = u.shape
    one = np.float32(1)
    for x in range(begin, end):
        x0, x1 = max(x - 1, 0), min(x + 1, nx - 1)
        for y in range(ny):
            y0, y1 = max(y - 1, 0), min(y + 1, ny - 1)
            for z in range(nz):
                z0, z1 = max(z - 1, 0), min(z + 1, nz - 1)
                p0, p1, p2 = _row(u, m, x, y, z, x0, x1, y0, y1, z0, z1, 0)
                q0, q1, q2 = _row(u, m, x, y, z, x0, x1, y0, y1, z0, z1, 1)
                r0, r1, r2 = _row(u, m, x, y, z, x0, x1, y0, y1, z0, z1, 2)
                p0, q1, r2 = p0 + one, q1 + one, r2 + one
                out[x, y, z] = p0 * (q1 * r2 - q2 * r1) - p1 * (q0 * r2 - q2 * r0) + p2 * (q0 * r1 - q1 * r0)


@njit(inline="always", **COMPILE)
def _row(
    u: Any, m: Any, x: int, y: int, z: int, x0: int, x1: int, y0: int, y1: int, z0: int, z1: int, c: int
) -> Any:  # pragma: no cover - compiled
    """∂u_c/∂ the three coordinates: the differences along the axes times `m`."""
    a = _slope(u[:, y, z], x0, x1, c)
    b = _slope(u[x, :, z], y0, y1, c)
    d = _slope(u[x, y], z0, z1, c)
    return (
        a * m[0, 0] + b * m[1, 0] + d * m[2, 0],
        a * m[0, 1] + b * m[1, 1] + d * m[2, 1],
        a * m[0, 2] + b * m[1, 2] + d * m[2, 2],
    )


def determinant(displacement: NDArray[np.float32], indices_per_unit: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
    """det(I + ∂u/∂x), central differences, one-sided at the edges, 0 along an axis of one voxel.

    Args:
        displacement: (X, Y, Z, 3) float32, in the unit of x.
        indices_per_unit: (3, 3), ∂index/∂x: the linear part of the map from x to voxel indices.

    Returns:
        (X, Y, Z) float32.
    """
    u = np.ascontiguousarray(displacement, dtype=np.float32)
    out = np.empty(u.shape[:3], dtype=np.float32)
    run_ranges(_determinant, u.shape[0], u, np.ascontiguousarray(indices_per_unit, dtype=np.float32), out, parts=2)
    return out

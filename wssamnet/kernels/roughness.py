"""First-order penalties of a displacement field and their gradient in one pass."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from wssamnet.kernels.rows import COMPILE
from wssamnet.kernels.threads import run_ranges


@njit(**COMPILE)
def _add_squares(here: Any, ahead: Any, weight: float, total: Any) -> None:  # pragma: no cover - compiled
    for i in range(here.shape[0]):
        difference = ahead[i] - here[i]
        total[i] += weight * (difference * difference)


@njit(**COMPILE)
def _add_sizes(here: Any, ahead: Any, weight: float, total: Any) -> None:  # pragma: no cover - compiled
    for i in range(here.shape[0]):
        total[i] += weight * abs(ahead[i] - here[i])


@njit(**COMPILE)
def _add_slopes(here: Any, there: Any, weight: float, absolute: bool, out: Any) -> None:  # pragma: no cover
    """The derivative of weight · (here - there)², or of weight · |here - there|, with respect to `here`."""
    twice = weight + weight
    if absolute:
        for i in range(here.shape[0]):
            out[i] += weight * np.sign(here[i] - there[i])
    else:
        for i in range(here.shape[0]):
            out[i] += twice * (here[i] - there[i])


@njit(**COMPILE)
def _roughness(
    begin: int, end: int, u: Any, weights: Any, scale: float, absolute: bool, totals: Any, gradient: Any
) -> None:  # pragma: no cover - compiled
    _, nx, ny, nz = u.shape
    wanted = gradient.shape[0] > 0
    total = np.zeros(nz, dtype=np.float64)
    factor = np.float32(scale)
    for plane in range(begin, end):
        component, x = plane // nx, plane % nx
        wx, wy, wz = weights[component, 0], weights[component, 1], weights[component, 2]
        gx, gy, gz = factor * wx, factor * wy, factor * wz
        volume = u[component]
        total[:] = 0.0
        for y in range(ny):
            row = volume[x, y]
            if absolute:
                if x + 1 < nx:
                    _add_sizes(row, volume[x + 1, y], wx, total)
                if y + 1 < ny:
                    _add_sizes(row, volume[x, y + 1], wy, total)
                _add_sizes(row[: nz - 1], row[1:], wz, total)
            else:
                if x + 1 < nx:
                    _add_squares(row, volume[x + 1, y], wx, total)
                if y + 1 < ny:
                    _add_squares(row, volume[x, y + 1], wy, total)
                _add_squares(row[: nz - 1], row[1:], wz, total)
            if wanted:
                out = gradient[component, x, y]
                out[:] = np.float32(0)
                if x > 0:
                    _add_slopes(row, volume[x - 1, y], gx, absolute, out)
                if x + 1 < nx:
                    _add_slopes(row, volume[x + 1, y], gx, absolute, out)
                if y > 0:
                    _add_slopes(row, volume[x, y - 1], gy, absolute, out)
                if y + 1 < ny:
                    _add_slopes(row, volume[x, y + 1], gy, absolute, out)
                _add_slopes(row[1:], row[: nz - 1], gz, absolute, out[1:])
                _add_slopes(row[: nz - 1], row[1:], gz, absolute, out[: nz - 1])
        totals[plane] = total.sum()


def roughness(
    u: NDArray[np.float32],
    weights: NDArray[np.float32],
    *,
    absolute: bool,
    gradient: NDArray[np.float32] | None = None,
    scale: float = 1.0,
) -> float:
    """Σ over components c, axes a and voxels x of weights[c, a] · |u_c(x + e_a) - u_c(x)|^p, p = 1 or 2.

    Args:
        u: (3, X, Y, Z) float32, contiguous.
        weights: (3, 3) float32, component by axis.
        absolute: p = 1 instead of 2.
        gradient: (3, X, Y, Z), receives `scale` times the gradient; None leaves it out.
        scale: see `gradient`.

    Returns:
        the sum, not scaled. The same bits for any number of threads.
    """
    planes = u.shape[0] * u.shape[1]
    totals = np.zeros(planes, dtype=np.float64)
    out = np.empty((0, 0, 0, 0), dtype=np.float32) if gradient is None else gradient
    run_ranges(_roughness, planes, u, weights, scale, absolute, totals, out, parts=2)
    return float(totals.sum())

"""Local normalised cross-correlation and its gradient in one pass over the volumes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from wssamnet.kernels.rows import COMPILE, add_rows, box_along_row
from wssamnet.kernels.threads import run_ranges


@njit(**COMPILE)
def _sum_products(a: Any, b: Any, start: int, stop: int, y: int, radius: int, out: Any) -> None:  # pragma: no cover
    """Row y of the sums of a, b, aa, bb, ab over the planes start..stop, into the five margined parts of `out`."""
    n = a.shape[2]
    pitch = n + 2 * radius
    s0, s1 = out[radius : radius + n], out[pitch + radius : pitch + radius + n]
    s2, s3 = out[2 * pitch + radius : 2 * pitch + radius + n], out[3 * pitch + radius : 3 * pitch + radius + n]
    s4 = out[4 * pitch + radius : 4 * pitch + radius + n]
    a0, b0 = a[start, y], b[start, y]
    for z in range(n):
        s0[z] = a0[z]
        s1[z] = b0[z]
        s2[z] = a0[z] * a0[z]
        s3[z] = b0[z] * b0[z]
        s4[z] = a0[z] * b0[z]
    x = start + 1
    while x + 1 < stop:
        a0, b0, a1, b1 = a[x, y], b[x, y], a[x + 1, y], b[x + 1, y]
        for z in range(n):
            s0[z] += a0[z] + a1[z]
            s1[z] += b0[z] + b1[z]
            s2[z] += a0[z] * a0[z] + a1[z] * a1[z]
            s3[z] += b0[z] * b0[z] + b1[z] * b1[z]
            s4[z] += a0[z] * b0[z] + a1[z] * b1[z]
        x += 2
    if x < stop:
        a0, b0 = a[x, y], b[x, y]
        for z in range(n):
            s0[z] += a0[z]
            s1[z] += b0[z]
            s2[z] += a0[z] * a0[z]
            s3[z] += b0[z] * b0[z]
            s4[z] += a0[z] * b0[z]


@njit(**COMPILE)
def _correlate(
    sums: Any, radius: int, volume: float, squared: bool, epsilon: float, flat: float, value: Any, maps: Any
) -> None:  # pragma: no cover - compiled
    """One row of window sums to the correlation c and what its gradient is made of.

    `maps` holds three margined rows: p = ∂c/∂cross, q = 2 ∂c/∂var(b), r = p mean(a) + q mean(b). The gradient with
    respect to a voxel of b is then a Σp + b Σq - Σr, summed over the windows that contain it.
    """
    n = value.shape[0]
    pitch = n + 2 * radius
    sa, sb, saa, sbb = sums[:n], sums[pitch : pitch + n], sums[2 * pitch : 2 * pitch + n], sums[3 * pitch :]
    sab = sums[4 * pitch :]
    p, q, r = maps[radius : radius + n], maps[pitch + radius :], maps[2 * pitch + radius :]
    inverse, eps, tolerance = np.float32(1.0 / volume), np.float32(epsilon), np.float32(flat)
    zero, one, two = np.float32(0.0), np.float32(1.0), np.float32(2.0)
    for z in range(n):
        mean_a, mean_b = sa[z] * inverse, sb[z] * inverse
        cross = sab[z] - sa[z] * mean_b
        var_a, var_b = saa[z] - sa[z] * mean_a, sbb[z] - sb[z] * mean_b
        flat_a, flat_b = var_a <= tolerance * saa[z], var_b <= tolerance * sbb[z]
        keep = zero if flat_a or flat_b else one
        over = keep / (keep * (var_a * var_b) + eps)
        if squared:
            ratio = cross * over
            value[z] = cross * ratio
            by_cross = two * ratio
            by_var = -by_cross * ratio * var_a
        else:
            by_cross = np.sqrt(over)
            value[z] = cross * by_cross
            by_var = -value[z] * over * var_a
        p[z] = by_cross
        q[z] = by_var
        r[z] = by_cross * mean_a + by_var * mean_b


@njit(**COMPILE)
def _combine(a: Any, b: Any, sums: Any, scale: float, out: Any) -> None:  # pragma: no cover - compiled
    """One row of the gradient."""
    n = out.shape[0]
    pitch = sums.shape[0] // 3
    p, q, r = sums[:n], sums[pitch : pitch + n], sums[2 * pitch : 2 * pitch + n]
    factor = np.float32(scale)
    for z in range(n):
        out[z] = factor * (a[z] * p[z] + b[z] * q[z] - r[z])


@njit(**COMPILE)
def _empty(row: Any) -> bool:  # pragma: no cover - compiled
    for z in range(row.shape[0]):  # noqa: SIM110 - a generator would not compile to a loop
        if row[z] != 0:
            return False
    return True


@njit(**COMPILE)
def _extents(begin: int, end: int, a: Any, b: Any, extents: Any) -> None:  # pragma: no cover - compiled
    """Per plane, the rows first..last outside which both images are 0; first > last where all are."""
    ny = a.shape[1]
    for x in range(begin, end):
        low, high = 0, ny
        while low < ny and _empty(a[x, low]) and _empty(b[x, low]):
            low += 1
        while high > low and _empty(a[x, high - 1]) and _empty(b[x, high - 1]):
            high -= 1
        extents[x, 0], extents[x, 1] = (low, high) if low < high else (ny, 0)


@njit(**COMPILE)
def _lncc(
    begin: int,
    end: int,
    a: Any,
    b: Any,
    mask: Any,
    extents: Any,
    window: int,
    squared: bool,
    epsilon: float,
    flat: float,
    scale: float,
    totals: Any,
    gradient: Any,
) -> None:  # pragma: no cover - compiled
    """Planes begin..end: their sums of correlations into `totals`, their part of the gradient into `gradient`."""
    nx, ny, nz = a.shape
    radius = window // 2
    pitch = nz + 2 * radius
    wanted, masked = gradient.shape[0] > 0, mask.shape[0] > 0
    reach = radius if wanted else 0
    slots = window if wanted else 1
    products = np.zeros((ny, 5 * pitch), dtype=np.float32)
    ring = np.zeros((slots, ny, 3 * pitch), dtype=np.float32)  # the maps of the last planes
    line, boxed = np.zeros(5 * pitch, dtype=np.float32), np.zeros(5 * pitch, dtype=np.float32)
    scratch = np.zeros((2, 5 * pitch), dtype=np.float32)
    value, total = np.zeros(nz, dtype=np.float32), np.zeros(nz, dtype=np.float64)
    for x in range(max(begin - reach, 0), min(end + reach, nx) + (reach if end + reach > nx else 0)):
        if x < nx:
            maps = ring[x % slots]
            first, last = max(x - radius, 0), min(x + radius + 1, nx)
            low, high = extents[first:last, 0].min(), extents[first:last, 1].max()
            for y in range(low, high):
                _sum_products(a, b, first, last, y, radius, products[y])
            total[:] = 0.0
            for y in range(ny):
                if low >= high or y < low - radius or y >= high + radius:  # only background: uncorrelated
                    maps[y] = 0.0
                    continue
                add_rows(products, max(y - radius, low), min(y + radius + 1, high), line)
                box_along_row(line, scratch, boxed, window)
                _correlate(boxed, radius, window**3, squared, epsilon, flat, value, maps[y])
                if masked:
                    inside = mask[x, y]
                    for z in range(nz):
                        if not inside[z]:
                            value[z] = 0.0
                            for k in range(3):
                                maps[y, k * pitch + radius + z] = 0.0
                for z in range(nz):
                    total[z] += value[z]
            if begin <= x < end:
                totals[x] = total.sum()
        done = x - radius
        if wanted and begin <= done < end:
            first, last = max(done - radius, 0), min(done + radius + 1, nx)
            part = products[:, : 3 * pitch]
            far, near = max(first - radius, 0), min(last + radius, nx)
            low, high = extents[far:near, 0].min(), extents[far:near, 1].max()
            if low < high:
                low, high = max(low - radius, 0), min(high + radius, ny)
            for y in range(low, high):
                row = part[y]
                start = ring[first % slots, y]
                for i in range(3 * pitch):
                    row[i] = start[i]
                plane = first + 1
                while plane + 1 < last:
                    m0, m1 = ring[plane % slots, y], ring[(plane + 1) % slots, y]
                    for i in range(3 * pitch):
                        row[i] += m0[i] + m1[i]
                    plane += 2
                if plane < last:
                    m0 = ring[plane % slots, y]
                    for i in range(3 * pitch):
                        row[i] += m0[i]
            for y in range(ny):
                if low >= high or y < low - radius or y >= high + radius:
                    gradient[done, y] = 0.0
                    continue
                add_rows(part, max(y - radius, low), min(y + radius + 1, high), line[: 3 * pitch])
                box_along_row(line[: 3 * pitch], scratch, boxed[: 3 * pitch], window)
                _combine(a[done, y], b[done, y], boxed[: 3 * pitch], scale, gradient[done, y])


def lncc_sum(
    fixed: NDArray[np.float32],
    moving: NDArray[np.float32],
    mask: NDArray[np.bool_] | None,
    *,
    window: int,
    squared: bool,
    epsilon: float,
    flat: float,
    gradient: NDArray[np.float32] | None = None,
    scale: float = 1.0,
) -> float:
    """Sum of the local correlations of two volumes, and its gradient.

    Args:
        fixed, moving: (X, Y, Z) float32, contiguous.
        mask: (X, Y, Z), windows that count; None for all.
        window, squared, epsilon, flat: as `losses.lncc` explains.
        gradient: (X, Y, Z), receives `scale` times the gradient with respect to `moving`; None leaves it out.
        scale: see `gradient`.

    Returns:
        the sum, not scaled. The same bits for any number of threads.
    """
    empty = np.empty((0, 0, 0), dtype=np.float32)
    totals = np.zeros(fixed.shape[0], dtype=np.float64)
    extents = np.empty((fixed.shape[0], 2), dtype=np.int64)
    run_ranges(_extents, len(extents), fixed, moving, extents, parts=4)
    run_ranges(
        _lncc,
        fixed.shape[0],
        fixed,
        moving,
        np.empty((0, 0, 0), dtype=np.bool_) if mask is None else mask,
        extents,
        window,
        squared,
        epsilon,
        flat,
        scale,
        totals,
        empty if gradient is None else gradient,
    )
    return float(totals.sum())

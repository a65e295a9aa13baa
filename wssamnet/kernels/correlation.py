"""Local correlation volume of two images: how well every shift of a small cube fits, and the shift to be expected."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from wssamnet.kernels.rows import COMPILE
from wssamnet.kernels.threads import run_ranges

_AT_ONCE = 1024  # places whose sums stay in the first cache
_PER_E = 1.4426950408889634  # log2(e)


@njit(cache=True, nogil=True, fastmath=True)
def _add_products(fixed: Any, moving: Any, shift: int, row: Any) -> None:  # pragma: no cover - compiled
    """row += fixed · moving a shift further on; `moving` is longer by its margins."""
    ahead = moving[shift : shift + row.shape[0]]
    for k in range(row.shape[0]):
        row[k] += fixed[k] * ahead[k]


@njit(cache=True, nogil=True, fastmath=True)
def _shifts(
    start: int, stop: int, fixed: Any, moving: Any, radius: int, first: int, out: Any
) -> None:  # pragma: no cover - compiled
    channels, nx, _, nz = fixed.shape
    _, planes, hy, hz = out.shape
    edge = 2 * radius + 1
    pooled = np.zeros((planes + 2, hy + 2, hz + 2), dtype=np.float32)  # with a margin of 0
    columns = np.zeros((planes + 2, hz + 2), dtype=np.float32)
    row, total = np.empty(nz, dtype=np.float32), np.empty(hz + 2, dtype=np.float32)
    scale = np.float32(1.0 / (8 * 27 * channels))
    for shift in range(start, stop):
        a, b, c = shift // (edge * edge), shift // edge % edge, shift % edge
        for plane in range(planes + 2):
            i = 2 * (first + plane - 1)
            if i < 0 or i + 1 >= nx:
                continue
            for j in range(hy):
                row[:] = 0
                for channel in range(channels):
                    for p in range(i, i + 2):
                        for q in range(2 * j, 2 * j + 2):
                            # `moving` is padded by the radius, so that no shift leaves it
                            _add_products(fixed[channel, p, q], moving[channel, p + a, q + b], c, row)
                mean = pooled[plane, j + 1]
                for k in range(hz):
                    mean[k + 1] = row[2 * k] + row[2 * k + 1]
        for j in range(hy):
            for plane in range(planes + 2):
                left, here, right = pooled[plane, j], pooled[plane, j + 1], pooled[plane, j + 2]
                column = columns[plane]
                for k in range(hz + 2):
                    column[k] = left[k] + here[k] + right[k]
            for plane in range(planes):
                left, here, right = columns[plane], columns[plane + 1], columns[plane + 2]
                for k in range(hz + 2):
                    total[k] = scale * (left[k] + here[k] + right[k])
                found = out[shift, plane, j]
                for k in range(hz):
                    found[k] = total[k] + total[k + 1] + total[k + 2]


def pad(moving: NDArray[np.float32], radius: int) -> NDArray[np.float32]:
    """(C, X, Y, Z) with zeros around, `radius` voxels wide."""
    return np.pad(moving, ((0, 0), *((radius, radius),) * 3))


def correlate_shifts(
    fixed: NDArray[np.float32], padded: NDArray[np.float32], radius: int, planes: range
) -> NDArray[np.float32]:
    """Mean products of two images for every whole-voxel shift.

    Args:
        fixed: (C, X, Y, Z) float32, locally normalised, even sizes.
        padded: the moving image likewise, from `pad`.
        radius: largest shift along each axis, voxels.
        planes: of the result, along its first axis, that are wanted, one after the other.

    Returns:
        ((2·radius + 1)³, len(planes), Y/2, Z/2) float32: the mean of fixed(x)·moving(x + shift) over 2x2x2 voxels and
        then 3x3x3 of their means, zeros beyond the border; shifts in ijk order, the last axis fastest.
    """
    count = (2 * radius + 1) ** 3
    out = np.empty((count, len(planes), fixed.shape[2] // 2, fixed.shape[3] // 2), dtype=np.float32)
    run_ranges(_shifts, count, np.ascontiguousarray(fixed), padded, radius, planes.start, out)
    return out


@njit(**COMPILE)
def _powers(line: Any, factor: Any, part: Any, bits: Any) -> None:  # pragma: no cover - compiled
    """2^(factor · line) to 2e-7 of it, as `part` times the floats whose bits are written."""
    half, low, high = np.float32(0.5), np.float32(-126.0), np.float32(126.0)
    c6, c5, c4 = np.float32(1.5403530e-4), np.float32(1.3333558e-3), np.float32(9.6181291e-3)  # ln(2)^n / n!
    c3, c2, c1, c0 = np.float32(5.5504109e-2), np.float32(0.24022651), np.float32(0.69314718), np.float32(1.0)
    for k in range(line.shape[0]):
        exponent = min(max(line[k] * factor, low), high)
        whole = np.floor(exponent + half)
        rest = exponent - whole
        bits[k] = (np.int32(whole) + np.int32(127)) << np.int32(23)
        part[k] = (((((c6 * rest + c5) * rest + c4) * rest + c3) * rest + c2) * rest + c1) * rest + c0


@njit(**COMPILE)
def _expect(begin: int, end: int, volume: Any, radius: int, factor: Any, out: Any) -> None:  # pragma: no cover
    edge, places = 2 * radius + 1, volume.shape[1]
    bits, part = np.empty(_AT_ONCE, dtype=np.int32), np.empty(_AT_ONCE, dtype=np.float32)
    powers = bits.view(np.float32)
    line, sums = np.empty((2, _AT_ONCE), dtype=np.float32), np.empty((4, _AT_ONCE), dtype=np.float32)
    weight, along_c = line
    total, along_a, along_b, last = sums
    for block in range(begin, end):
        low, high = block * _AT_ONCE, min((block + 1) * _AT_ONCE, places)
        sums[:] = 0.0
        for a in range(edge):
            for b in range(edge):
                line[:] = 0.0
                for c in range(edge):
                    _powers(volume[(a * edge + b) * edge + c, low:high], factor, part, bits)
                    offset = np.float32(c - radius)
                    for k in range(high - low):
                        found = part[k] * powers[k]
                        weight[k] += found
                        along_c[k] += offset * found
                i, j = np.float32(a - radius), np.float32(b - radius)
                for k in range(high - low):
                    total[k] += weight[k]
                    along_a[k] += i * weight[k]
                    along_b[k] += j * weight[k]
                    last[k] += along_c[k]
        for axis in range(3):
            for k in range(high - low):
                out[axis, low + k] = sums[axis + 1, k] / total[k]


def expected_shift(volume: NDArray[np.float32], radius: int, sharpness: float) -> NDArray[np.float32]:
    """The mean shift under the softmax of `sharpness` · `volume`.

    Args:
        volume: ((2·radius + 1)³, P) contiguous, of any P places; as from `correlate_shifts`. Means of products of
            locally normalised images stay below 5, so no largest value is subtracted: sharpness · volume may reach ±80.
        radius: of the volume, voxels.
        sharpness: see above.

    Returns:
        (3, P) float32, voxels, ijk order.
    """
    out = np.empty((3, volume.shape[1]), dtype=np.float32)
    run_ranges(_expect, -(-volume.shape[1] // _AT_ONCE), volume, radius, np.float32(sharpness * _PER_E), out)
    return out

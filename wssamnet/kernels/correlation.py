"""Local correlation volume of two images: how well every shift of a small cube fits, at half resolution."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from wssamnet.kernels.threads import run_ranges


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

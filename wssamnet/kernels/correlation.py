"""Local correlation volume of two images: how well every shift of a small cube fits, at half resolution."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from wssamnet.kernels.threads import run_ranges


@njit(cache=True, nogil=True, fastmath=True)
def _box_rows(values: Any, out: Any) -> None:  # pragma: no cover - compiled
    """Sums of three along the last two axes, zeros beyond the border."""
    nx, ny, nz = values.shape
    row = np.empty(nz, dtype=np.float32)
    for i in range(nx):
        for j in range(ny):
            for k in range(nz):
                row[k] = values[i, j, k]
            if j > 0:
                for k in range(nz):
                    row[k] += values[i, j - 1, k]
            if j < ny - 1:
                for k in range(nz):
                    row[k] += values[i, j + 1, k]
            for k in range(nz):
                total = row[k]
                if k > 0:
                    total += row[k - 1]
                if k < nz - 1:
                    total += row[k + 1]
                out[i, j, k] = total


@njit(cache=True, nogil=True, fastmath=True)
def _shifts(start: int, stop: int, fixed: Any, moving: Any, radius: int, out: Any) -> None:  # pragma: no cover
    channels, nx, ny, nz = fixed.shape
    edge = 2 * radius + 1
    pooled = np.empty((nx // 2, ny // 2, nz // 2), dtype=np.float32)
    boxed = np.empty_like(pooled)
    scale = np.float32(1.0 / (8 * 27 * channels))
    for shift in range(start, stop):
        a, b, c = shift // (edge * edge), shift // edge % edge, shift % edge
        pooled[:] = 0
        for channel in range(channels):
            for i in range(nx // 2 * 2):
                for j in range(ny // 2 * 2):
                    for k in range(nz // 2):
                        # `moving` is padded by the radius, so that no shift leaves it
                        pooled[i // 2, j // 2, k] += (
                            fixed[channel, i, j, 2 * k] * moving[channel, i + a, j + b, 2 * k + c]
                            + fixed[channel, i, j, 2 * k + 1] * moving[channel, i + a, j + b, 2 * k + 1 + c]
                        )
        _box_rows(pooled, boxed)
        for i in range(nx // 2):
            first, last = max(i - 1, 0), min(i + 1, nx // 2 - 1)
            for j in range(ny // 2):
                for k in range(nz // 2):
                    total = boxed[i, j, k]
                    if first < i:
                        total += boxed[first, j, k]
                    if last > i:
                        total += boxed[last, j, k]
                    out[shift, i, j, k] = total * scale


def correlate_shifts(fixed: NDArray[np.float32], moving: NDArray[np.float32], radius: int) -> NDArray[np.float32]:
    """Mean products of two images for every whole-voxel shift.

    Args:
        fixed, moving: (C, X, Y, Z) float32, locally normalised, even sizes.
        radius: largest shift along each axis, voxels.

    Returns:
        ((2·radius + 1)³, X/2, Y/2, Z/2) float32: the mean of fixed(x)·moving(x + shift) over 2x2x2 voxels and
        then 3x3x3 of their means, zeros beyond the border; shifts in ijk order, the last axis fastest.
    """
    channels, x, y, z = fixed.shape
    padded = np.zeros((channels, x + 2 * radius, y + 2 * radius, z + 2 * radius), dtype=np.float32)
    padded[:, radius : radius + x, radius : radius + y, radius : radius + z] = moving
    count = (2 * radius + 1) ** 3
    out = np.empty((count, x // 2, y // 2, z // 2), dtype=np.float32)
    run_ranges(_shifts, count, np.ascontiguousarray(fixed), padded, radius, out)
    return out

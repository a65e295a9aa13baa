"""Gaussian smoothing of fields, all axes in one pass over the planes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from wssamnet.kernels.rows import COMPILE, add_pair, add_pairs, convolve_line, scale_row
from wssamnet.kernels.threads import run_ranges


@njit(**COMPILE)
def _reflect(i: int, n: int) -> int:  # pragma: no cover - compiled
    """d c b a | a b c d | d c b a, as often as needed."""
    i = i % (2 * n)
    return i if i < n else 2 * n - 1 - i


@njit(**COMPILE)
def _gaussian(begin: int, end: int, field: Any, kx: Any, ky: Any, kz: Any, out: Any) -> None:  # pragma: no cover
    nx, ny, nz, channels = field.shape
    rx, ry, rz = kx.shape[0] - 1, ky.shape[0] - 1, kz.shape[0] - 1
    length = nz * channels
    rows, target = field.reshape(nx, ny, length), out.reshape(nx, ny, length)
    plane = np.empty((ny, length), dtype=field.dtype)
    line = np.empty(length + 2 * rz * channels, dtype=field.dtype)
    middle = line[rz * channels : rz * channels + length]
    for x in range(begin, end):
        for y in range(ny):
            row = plane[y]
            scale_row(rows[x, y], kx[0], row)
            k = 1
            while k < rx:
                a, b = rows[_reflect(x - k, nx), y], rows[_reflect(x + k, nx), y]
                c, d = rows[_reflect(x - k - 1, nx), y], rows[_reflect(x + k + 1, nx), y]
                add_pairs(a, b, kx[k], c, d, kx[k + 1], row)
                k += 2
            if k == rx:
                add_pair(rows[_reflect(x - k, nx), y], rows[_reflect(x + k, nx), y], kx[k], row)
        for y in range(ny):
            scale_row(plane[y], ky[0], middle)
            k = 1
            while k < ry:
                a, b = plane[_reflect(y - k, ny)], plane[_reflect(y + k, ny)]
                c, d = plane[_reflect(y - k - 1, ny)], plane[_reflect(y + k + 1, ny)]
                add_pairs(a, b, ky[k], c, d, ky[k + 1], middle)
                k += 2
            if k == ry:
                add_pair(plane[_reflect(y - k, ny)], plane[_reflect(y + k, ny)], ky[k], middle)
            for z in range(1, rz + 1):
                left, right = _reflect(-z, nz) * channels, _reflect(nz - 1 + z, nz) * channels
                for c in range(channels):
                    line[(rz - z) * channels + c] = middle[left + c]
                    line[(rz + nz - 1 + z) * channels + c] = middle[right + c]
            convolve_line(line, kz, channels, target[x, y])


def half_gaussian(sigma: float, truncate: float = 4.0) -> NDArray[np.float64]:
    """The sampled Gaussian from its centre outwards, (r + 1,), r = truncate · sigma rounded; both halves sum to 1."""
    radius = int(truncate * sigma + 0.5)
    if radius == 0:
        return np.ones(1)
    kernel = np.exp(-0.5 * (np.arange(radius + 1) / sigma) ** 2)
    return np.asarray(kernel / (2 * kernel.sum() - kernel[0]))


def gaussian(
    field: NDArray[np.float32],
    sigma: float | Sequence[float] | NDArray[np.floating[Any]],
    *,
    truncate: float = 4.0,
    out: NDArray[np.float32] | None = None,
) -> NDArray[np.float32]:
    """Smooth each component of a field; agrees with ``scipy.ndimage.gaussian_filter`` and its reflecting border.

    Args:
        field: (X, Y, Z, C) float32.
        sigma: voxels, one number or one per axis; 0 leaves an axis as it is.
        truncate: the kernel reaches so many sigma.
        out: receives the result, of the field's shape and not the field itself; None makes a new array.

    Returns:
        (X, Y, Z, C) float32: `out`. The same bits for any number of threads.
    """
    values = np.ascontiguousarray(field, dtype=np.float32)
    widths = np.broadcast_to(np.asarray(sigma, dtype=np.float64), 3)
    kernels = [half_gaussian(float(width), truncate).astype(np.float32) for width in widths]
    if out is None:
        out = np.empty_like(values)
    run_ranges(_gaussian, values.shape[0], values, *kernels, out, parts=2)
    return out

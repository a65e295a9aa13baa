"""Laplacian of Gaussian in one pass over the planes; zeros beyond the edge, hence its own adjoint."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from wssamnet.kernels.rows import COMPILE
from wssamnet.kernels.threads import run_ranges


@njit(**COMPILE)
def _along_x(a: Any, b: Any, g: float, h: float, smooth: Any, curved: Any) -> None:  # pragma: no cover - compiled
    """Add two taps of the image to both plane buffers."""
    for i in range(smooth.shape[0]):
        both = a[i] + b[i]
        smooth[i] += g * both
        curved[i] += h * both


@njit(**COMPILE)
def _along_y(
    a: Any, b: Any, c: Any, d: Any, g: float, h: float, smooth: Any, curved: Any
) -> None:  # pragma: no cover - compiled
    """Add two rows of the smooth plane (a, b) and of the curved plane (c, d) to both line buffers."""
    for i in range(smooth.shape[0]):
        both = a[i] + b[i]
        smooth[i] += g * both
        curved[i] += h * both + g * (c[i] + d[i])


@njit(**COMPILE)
def _along_z(a: Any, b: Any, c: Any, d: Any, g: float, h: float, out: Any) -> None:  # pragma: no cover - compiled
    """Add two taps of the smooth line (a, b) and of the curved line (c, d) to the result."""
    for i in range(out.shape[0]):
        out[i] += h * (a[i] + b[i]) + g * (c[i] + d[i])


@njit(**COMPILE)
def _laplacian(
    begin: int, end: int, image: Any, gx: Any, hx: Any, gy: Any, hy: Any, gz: Any, hz: Any, out: Any
) -> None:  # pragma: no cover - compiled
    """g: half Gaussians, h: half second derivatives, from the centre outwards."""
    nx, ny, nz = image.shape
    rx, ry, rz = gx.shape[0] - 1, gy.shape[0] - 1, gz.shape[0] - 1
    zeros = np.zeros(nz, dtype=np.float32)
    smooth, curved = np.empty((ny, nz), dtype=np.float32), np.empty((ny, nz), dtype=np.float32)
    smooth_line, curved_line = np.zeros(nz + 2 * rz, dtype=np.float32), np.zeros(nz + 2 * rz, dtype=np.float32)
    s, c = smooth_line[rz : rz + nz], curved_line[rz : rz + nz]
    for x in range(begin, end):
        for y in range(ny):
            a, b = smooth[y], curved[y]
            middle = image[x, y]
            for z in range(nz):
                a[z] = gx[0] * middle[z]
                b[z] = hx[0] * middle[z]
            for k in range(1, rx + 1):
                before = image[x - k, y] if x - k >= 0 else zeros
                after = image[x + k, y] if x + k < nx else zeros
                _along_x(before, after, gx[k], hx[k], a, b)
        for y in range(ny):
            a, b = smooth[y], curved[y]
            for z in range(nz):
                s[z] = gy[0] * a[z]
                c[z] = hy[0] * a[z] + gy[0] * b[z]
            for k in range(1, ry + 1):
                a0, b0 = (smooth[y - k], curved[y - k]) if y - k >= 0 else (zeros, zeros)
                a1, b1 = (smooth[y + k], curved[y + k]) if y + k < ny else (zeros, zeros)
                _along_y(a0, a1, b0, b1, gy[k], hy[k], s, c)
            row = out[x, y]
            for z in range(nz):
                row[z] = hz[0] * s[z] + gz[0] * c[z]
            for k in range(1, rz + 1):
                _along_z(
                    smooth_line[rz - k :],
                    smooth_line[rz + k :],
                    curved_line[rz - k :],
                    curved_line[rz + k :],
                    gz[k],
                    hz[k],
                    row,
                )


def laplacian(
    image: NDArray[np.float32],
    kernels: Sequence[tuple[NDArray[np.float64], NDArray[np.float64]]],
    out: NDArray[np.float32],
) -> None:
    """Σ over the axes of (second derivative along that axis, Gaussian along the others).

    Args:
        image: (X, Y, Z) float32, contiguous.
        kernels: per axis the Gaussian and its second derivative, (2r + 1,), symmetric.
        out: (X, Y, Z) float32, receives the result. The same bits for any number of threads.
    """
    halves = [np.asarray(kernel[len(kernel) // 2 :], dtype=np.float32) for pair in kernels for kernel in pair]
    run_ranges(_laplacian, image.shape[0], image, *halves, out, parts=2)

"""The steps of a greedy compositional registration: warp, force, Adam, composition; compiled by numba.

Displacements are (X, Y, Z, 3) float32 in voxels, pull-back: the warped image at x is the moving image at x + u(x).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from wssamnet.kernels.rows import COMPILE
from wssamnet.kernels.threads import run_ranges

Field = NDArray[np.float32]


@njit(inline="always", **COMPILE)
def _cell(position: Any, size: int) -> Any:  # pragma: no cover - compiled
    """Lower index, upper index and weight of the upper one; positions beyond the edge are clamped to it."""
    p = min(max(position, np.float32(0)), np.float32(size - 1))
    low = min(int(p), max(size - 2, 0))
    return low, min(low + 1, size - 1), p - np.float32(low)


@njit(**COMPILE)
def _warp(begin: int, end: int, image: Any, u: Any, out: Any) -> None:  # pragma: no cover - compiled
    nx, ny, nz = image.shape
    one = np.float32(1)
    for x in range(begin, end):
        for y in range(ny):
            for z in range(nz):
                i, i1, a = _cell(np.float32(x) + u[x, y, z, 0], nx)
                j, j1, b = _cell(np.float32(y) + u[x, y, z, 1], ny)
                k, k1, d = _cell(np.float32(z) + u[x, y, z, 2], nz)
                e = one - d
                low = (e * image[i, j, k] + d * image[i, j, k1]) * (one - b)
                low += (e * image[i, j1, k] + d * image[i, j1, k1]) * b
                high = (e * image[i1, j, k] + d * image[i1, j, k1]) * (one - b)
                high += (e * image[i1, j1, k] + d * image[i1, j1, k1]) * b
                out[x, y, z] = low * (one - a) + high * a


@njit(**COMPILE)
def _compose(begin: int, end: int, u: Any, v: Any, scale: float, out: Any) -> None:  # pragma: no cover - compiled
    nx, ny, nz, _ = u.shape
    one, s = np.float32(1), np.float32(scale)
    for x in range(begin, end):
        for y in range(ny):
            for z in range(nz):
                v0, v1, v2 = s * v[x, y, z, 0], s * v[x, y, z, 1], s * v[x, y, z, 2]
                i, i1, a = _cell(np.float32(x) + v0, nx)
                j, j1, b = _cell(np.float32(y) + v1, ny)
                k, k1, d = _cell(np.float32(z) + v2, nz)
                e = one - d
                w0, w1, w2, w3 = (one - a) * (one - b), (one - a) * b, a * (one - b), a * b
                for c in range(3):
                    value = w0 * (e * u[i, j, k, c] + d * u[i, j, k1, c])
                    value += w1 * (e * u[i, j1, k, c] + d * u[i, j1, k1, c])
                    value += w2 * (e * u[i1, j, k, c] + d * u[i1, j, k1, c])
                    value += w3 * (e * u[i1, j1, k, c] + d * u[i1, j1, k1, c])
                    out[x, y, z, c] = value
                out[x, y, z, 0] += v0
                out[x, y, z, 1] += v1
                out[x, y, z, 2] += v2


@njit(**COMPILE)
def _add_force(begin: int, end: int, slope: Any, image: Any, out: Any) -> None:  # pragma: no cover - compiled
    nx, ny, nz = image.shape
    half = np.float32(0.5)
    for x in range(begin, end):
        x0, x1 = max(x - 1, 0), min(x + 1, nx - 1)
        for y in range(ny):
            y0, y1 = max(y - 1, 0), min(y + 1, ny - 1)
            for z in range(nz):
                z0, z1 = max(z - 1, 0), min(z + 1, nz - 1)
                g = slope[x, y, z] * half
                out[x, y, z, 0] += g * (image[x1, y, z] - image[x0, y, z])
                out[x, y, z, 1] += g * (image[x, y1, z] - image[x, y0, z])
                out[x, y, z, 2] += g * (image[x, y, z1] - image[x, y, z0])


@njit(**COMPILE)
def _adam(
    begin: int, end: int, gradient: Any, first: Any, second: Any, keep1: float, keep2: float, turn: int, out: Any
) -> None:  # pragma: no cover - compiled
    b1, b2 = np.float32(keep1), np.float32(keep2)
    new1, new2 = np.float32(1) - b1, np.float32(1) - b2
    c1 = np.float32(1 / (1 - keep1**turn))
    c2 = np.float32(1 / (1 - keep2**turn))
    tiny = np.float32(1e-12)
    _, ny, nz, _ = gradient.shape
    for x in range(begin, end):
        for y in range(ny):
            for z in range(nz):
                for c in range(3):
                    g = gradient[x, y, z, c]
                    m = b1 * first[x, y, z, c] + new1 * g
                    v = b2 * second[x, y, z, c] + new2 * g * g
                    first[x, y, z, c] = m
                    second[x, y, z, c] = v
                    out[x, y, z, c] = m * c1 / (np.sqrt(v * c2) + tiny)


@njit(**COMPILE)
def _longest(begin: int, end: int, v: Any, out: Any) -> None:  # pragma: no cover - compiled
    _, ny, nz, _ = v.shape
    for x in range(begin, end):
        longest = np.float32(0)
        for y in range(ny):
            for z in range(nz):
                size = v[x, y, z, 0] ** 2 + v[x, y, z, 1] ** 2 + v[x, y, z, 2] ** 2
                longest = max(longest, size)
        out[x] = longest


def warp(image: NDArray[np.float32], u: Field, out: NDArray[np.float32]) -> NDArray[np.float32]:
    """out(x) = image(x + u(x)), (X, Y, Z), linear, the edge repeated outside."""
    run_ranges(_warp, image.shape[0], image, u, out)
    return out


def compose(u: Field, step: Field, scale: float, out: Field) -> Field:
    """out(x) = s v(x) + u(x + s v(x)): first the step, then the field; `out` must not be `u`."""
    run_ranges(_compose, u.shape[0], u, step, scale, out)
    return out


def add_force(slope: NDArray[np.float32], warped: NDArray[np.float32], out: Field) -> Field:
    """out += slope · ∇warped: the gradient of a similarity with respect to the composed step (central differences)."""
    run_ranges(_add_force, warped.shape[0], slope, warped, out)
    return out


def adam(gradient: Field, first: Field, second: Field, turn: int, out: Field, *, betas: tuple[float, float]) -> Field:
    """Adam's bias-corrected direction of step `turn` (from 1); updates the moments `first` and `second` in place."""
    run_ranges(_adam, gradient.shape[0], gradient, first, second, betas[0], betas[1], turn, out)
    return out


def longest(v: Field) -> float:
    """The largest vector length."""
    squares = np.zeros(v.shape[0], dtype=np.float32)
    run_ranges(_longest, v.shape[0], v, squares)
    return float(np.sqrt(squares.max()))

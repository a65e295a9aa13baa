"""Trilinear warp of an image by a displacement, and its gradients; agrees with torch's ``grid_sample``."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numba import njit
from numpy.typing import NDArray

from wssamnet.kernels.rows import COMPILE
from wssamnet.kernels.threads import run_ranges

Floats = NDArray[np.float32] | NDArray[np.float64]
Outside = Literal["zero", "border"]


_FAR = 1e6  # voxels; longer displacements, infinite ones and NaN read nothing, or the first border voxel


@njit(inline="always", **COMPILE)
def _cell(start: int, step: Any, size: int, border: bool, zero: Any) -> Any:  # pragma: no cover - compiled
    """Lower corner, part of the upper corner, and whether the position moves with the displacement.

    Only the displacement is split, so that none of its digits is lost by adding a large index. The corner lies in
    -1..size - 1 where any of its neighbours counts, else at -2, where none does. `zero` has the type of `step`.
    """
    if not (abs(step) < _FAR):
        return (0 if border else -2), zero, False
    whole = np.floor(step)
    low, part, free = start + int(whole), step - whole, True
    if border:
        if low < 0:
            low, part, free = 0, zero, False
        elif low >= size - 1:
            free = low == size - 1 and part == 0
            low, part = size - 1, zero
    elif low < -1 or low >= size:
        low, part, free = -2, zero, False
    return low, part, free


@njit(inline="always", **COMPILE)
def _value(image: Any, c: int, i: int, j: int, k: int, border: bool) -> Any:  # pragma: no cover - compiled
    _, nx, ny, nz = image.shape
    if border:
        return image[c, min(i, nx - 1), min(j, ny - 1), min(k, nz - 1)]
    if 0 <= i < nx and 0 <= j < ny and 0 <= k < nz:
        return image[c, i, j, k]
    return image.dtype.type(0)


@njit(**COMPILE)
def _edge(image: Any, c: int, i: int, j: int, k: int, border: bool) -> Any:  # pragma: no cover - compiled
    """The eight values around a cell at the edge."""
    return (
        _value(image, c, i, j, k, border),
        _value(image, c, i, j, k + 1, border),
        _value(image, c, i, j + 1, k, border),
        _value(image, c, i, j + 1, k + 1, border),
        _value(image, c, i + 1, j, k, border),
        _value(image, c, i + 1, j, k + 1, border),
        _value(image, c, i + 1, j + 1, k, border),
        _value(image, c, i + 1, j + 1, k + 1, border),
    )


@njit(inline="always", **COMPILE)
def _corners(image: Any, c: int, i: int, j: int, k: int, border: bool) -> Any:  # pragma: no cover - compiled
    """The eight values around a cell: 0, or the border's, where they lie outside."""
    _, nx, ny, nz = image.shape
    if 0 <= i < nx - 1 and 0 <= j < ny - 1 and 0 <= k < nz - 1:
        return (
            image[c, i, j, k],
            image[c, i, j, k + 1],
            image[c, i, j + 1, k],
            image[c, i, j + 1, k + 1],
            image[c, i + 1, j, k],
            image[c, i + 1, j, k + 1],
            image[c, i + 1, j + 1, k],
            image[c, i + 1, j + 1, k + 1],
        )
    return _edge(image, c, i, j, k, border)


@njit(**COMPILE)
def _warp(begin: int, end: int, image: Any, u: Any, border: bool, out: Any) -> None:  # pragma: no cover - compiled
    channels, nx, ny, nz = image.shape
    zero = u.dtype.type(0)
    for x in range(begin, end):
        for y in range(out.shape[2]):
            for z in range(out.shape[3]):
                i, a, _ = _cell(x, u[0, x, y, z], nx, border, zero)
                j, b, _ = _cell(y, u[1, x, y, z], ny, border, zero)
                k, d, _ = _cell(z, u[2, x, y, z], nz, border, zero)
                for c in range(channels):
                    v0, v1, v2, v3, v4, v5, v6, v7 = _corners(image, c, i, j, k, border)
                    f0, f1, f2, f3 = v0 + d * (v1 - v0), v2 + d * (v3 - v2), v4 + d * (v5 - v4), v6 + d * (v7 - v6)
                    low, high = f0 + b * (f1 - f0), f2 + b * (f3 - f2)
                    out[c, x, y, z] = low + a * (high - low)


@njit(**COMPILE)
def _to_displacement(
    begin: int, end: int, image: Any, u: Any, upstream: Any, border: bool, out: Any
) -> None:  # pragma: no cover - compiled
    channels, nx, ny, nz = image.shape
    zero = u.dtype.type(0)
    for x in range(begin, end):
        for y in range(out.shape[2]):
            for z in range(out.shape[3]):
                i, a, free_x = _cell(x, u[0, x, y, z], nx, border, zero)
                j, b, free_y = _cell(y, u[1, x, y, z], ny, border, zero)
                k, d, free_z = _cell(z, u[2, x, y, z], nz, border, zero)
                sum_x, sum_y, sum_z = zero, zero, zero
                for c in range(channels):
                    g = upstream[c, x, y, z]
                    if g == 0:
                        continue
                    v0, v1, v2, v3, v4, v5, v6, v7 = _corners(image, c, i, j, k, border)
                    e0, e1, e2, e3 = v1 - v0, v3 - v2, v5 - v4, v7 - v6
                    f0, f1, f2, f3 = v0 + d * e0, v2 + d * e1, v4 + d * e2, v6 + d * e3
                    h0, h1 = f1 - f0, f3 - f2
                    e4, e5 = e0 + b * (e1 - e0), e2 + b * (e3 - e2)
                    sum_x += g * ((f2 + b * h1) - (f0 + b * h0))
                    sum_y += g * (h0 + a * (h1 - h0))
                    sum_z += g * (e4 + a * (e5 - e4))
                out[0, x, y, z] = sum_x if free_x else zero
                out[1, x, y, z] = sum_y if free_y else zero
                out[2, x, y, z] = sum_z if free_z else zero


@njit(**COMPILE)
def _reach(begin: int, end: int, u: Any, border: bool, size: int, reach: Any) -> None:  # pragma: no cover - compiled
    """First and last image plane that each plane of the result reads, into reach (X, 2)."""
    zero = u.dtype.type(0)
    for x in range(begin, end):
        first, last = size, -2
        for y in range(u.shape[2]):
            for z in range(u.shape[3]):
                low, _, _ = _cell(x, u[0, x, y, z], size, border, zero)
                first, last = min(first, low), max(last, low + 1)
        reach[x, 0], reach[x, 1] = first, last


@njit(**COMPILE)
def _to_image(
    begin: int, end: int, u: Any, upstream: Any, border: bool, reach: Any, out: Any
) -> None:  # pragma: no cover - compiled
    """Planes begin..end of the image's gradient; each range looks for the voxels that read from it."""
    channels, nx, ny, nz = out.shape
    zero = u.dtype.type(0)
    out[:, begin:end] = zero
    for x in range(u.shape[1]):
        if reach[x, 1] < begin or reach[x, 0] >= end:
            continue
        for y in range(u.shape[2]):
            for z in range(u.shape[3]):
                i, a, _ = _cell(x, u[0, x, y, z], nx, border, zero)
                if i + 1 < begin or i >= end:
                    continue
                j, b, _ = _cell(y, u[1, x, y, z], ny, border, zero)
                k, d, _ = _cell(z, u[2, x, y, z], nz, border, zero)
                for corner in range(8):
                    p, q, r = i + (corner >> 2), j + (corner >> 1 & 1), k + (corner & 1)
                    if not (begin <= p < end and 0 <= q < ny and 0 <= r < nz):
                        continue
                    weight = (a if corner & 4 else 1 - a) * (b if corner & 2 else 1 - b) * (d if corner & 1 else 1 - d)
                    for c in range(channels):
                        out[c, p, q, r] += weight * upstream[c, x, y, z]


def warp(image: Floats, displacement: Floats, *, outside: Outside = "zero") -> Floats:
    """out(x) = image(x + u(x)), trilinear.

    Args:
        image: (C, X, Y, Z), float32 or float64, contiguous.
        displacement: (3, X', Y', Z') of the same type, voxels of the image in ijk order, pull-back.
        outside: what lies beyond the image: 0, or its border value.

    Returns:
        (C, X', Y', Z').
    """
    out = np.empty((image.shape[0], *displacement.shape[1:]), dtype=image.dtype)
    run_ranges(_warp, out.shape[1], image, displacement, outside == "border", out, parts=4)
    return out


def gradient_to_displacement(
    image: Floats, displacement: Floats, upstream: Floats, *, outside: Outside = "zero"
) -> Floats:
    """The gradient of Σ upstream · warp with respect to the displacement, (3, X', Y', Z').

    `upstream` (C, X', Y', Z'); the other arguments as for `warp`.
    """
    out = np.empty_like(displacement)
    run_ranges(_to_displacement, out.shape[1], image, displacement, upstream, outside == "border", out, parts=4)
    return out


def gradient_to_image(
    shape: tuple[int, int, int], displacement: Floats, upstream: Floats, *, outside: Outside = "zero"
) -> Floats:
    """The gradient of Σ upstream · warp with respect to the image of `shape`, (C, X, Y, Z).

    The same bits for any number of threads: every voxel gathers its contributions in one order.
    """
    border = outside == "border"
    out = np.empty((upstream.shape[0], *shape), dtype=upstream.dtype)
    reach = np.empty((displacement.shape[1], 2), dtype=np.int64)
    run_ranges(_reach, len(reach), displacement, border, shape[0], reach)
    run_ranges(_to_image, shape[0], displacement, upstream, border, reach, out)
    return out

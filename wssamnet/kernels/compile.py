"""Compile every kernel before it is needed, when the environment or the image is built."""

from __future__ import annotations

import time

import numpy as np
from numpy.typing import NDArray

from wssamnet.kernels import (
    correlation,
    greedy,
    grid_inversion,
    grids,
    inversion,
    jacobian,
    laplacian,
    lengths,
    lncc,
    mutual_information,
    normalisation,
    ordering,
    resizing,
    roughness,
    sampling,
    smoothing,
    warping,
)


def compile_all() -> float:
    """Call every kernel once on a tiny array of each type it supports, which fills numba's cache.

    The cache lies beside the package's files, or in NUMBA_CACHE_DIR; where neither is writable numba uses the
    user's cache folder.

    Returns:
        seconds spent.
    """
    start = time.perf_counter()
    volume = np.random.default_rng(0).random((5, 4, 3), dtype=np.float32)
    mask = volume > 0.3
    _sampling()
    _warping()
    for chosen in (None, mask):
        lncc.lncc_sum(
            volume, volume, chosen, window=3, squared=True, epsilon=1e-5, flat=1e-5, gradient=np.empty_like(volume)
        )
        line, gradient = volume.ravel(), np.empty(volume.size, np.float32)
        counted = None if chosen is None else chosen.ravel()
        mutual_information.mutual_information_of(line, line[::-1].copy(), counted, bins=8, gradients=(None, gradient))
    kernel = np.array([0.25, 0.5, 0.25]), np.array([1.0, -2.0, 1.0])
    laplacian.laplacian(volume, [kernel] * 3, np.empty_like(volume))
    u = np.stack((volume, volume, volume))
    roughness.roughness(u, np.ones((3, 3), np.float32), absolute=False, gradient=np.empty_like(u))
    field = np.ascontiguousarray(np.moveaxis(u, 0, -1))
    smoothing.gaussian(field, 1.0)
    resizing.resize(field, tuple(np.zeros(2) for _ in range(3)))
    jacobian.determinant(field, np.eye(3))
    _greedy(volume, field)
    even = np.zeros((1, 4, 4, 4), dtype=np.float32)
    volume = correlation.correlate_shifts(even, correlation.pad(even, 1), 1, range(2))
    correlation.expected_shift(volume.reshape(len(volume), -1), 1, 1.0)
    rows, ones = even[0, 0], np.ones(1, np.float32)
    statistics = normalisation.normalise(rows, ones, ones, np.empty_like(rows), epsilon=1e-5, slope=0.1)
    normalisation.gradients(rows, statistics, ones, ones, rows, np.empty_like(rows), slope=0.1)
    return time.perf_counter() - start


def _sampling() -> None:
    """Every width of an image's or a mask's type, in memory and memory-mapped for reading."""
    points = np.full((2, 3), 0.5)
    for dtype in (np.uint8, np.uint16, np.float32, np.float64):
        for writable in (True, False):
            values = np.ones((3, 3, 3), dtype=dtype)
            values.flags.writeable = writable
            sampling.sample(values, points, order=0)
            list(ordering.first_axis_fastest(values))
            if dtype in (np.float32, np.float64):
                sampling.sample(values, points, order=1)
    u = np.zeros((3, 3, 3, 3), dtype=np.float32)
    for writable in (True, False):
        u.flags.writeable = writable
        inversion.invert_points(u, np.eye(4), points)
        grids.displace(u, np.eye(3, 4), np.eye(3, 4), np.eye(3), (3, 3, 3))
        grid_inversion.displace_back(
            u, np.eye(4), np.eye(3, 4), np.eye(3, 4), np.eye(3), u[:2, :2, :2].copy(), (3, 3, 3)
        )
        image = np.ones((3, 3, 3), dtype=np.float32)
        image.flags.writeable = writable
        grids.carry(image, np.eye(3, 4), np.eye(3), np.zeros_like(u))


def _warping() -> None:
    for dtype in (np.float32, np.float64):
        image, u = np.ones((1, 3, 3, 3), dtype=dtype), np.zeros((3, 3, 3, 3), dtype=dtype)
        warping.warp(image, u)
        warping.gradient_to_displacement(image, u, image)
        warping.gradient_to_image((3, 3, 3), u, image)


def _greedy(volume: NDArray[np.float32], field: NDArray[np.float32]) -> None:
    factors, rows = np.ones(3, dtype=np.int64), greedy.rows_within(volume, 1)
    greedy.warp(volume, field, factors, rows, np.empty_like(volume))
    greedy.compose(field, field, 0.5, factors, np.empty_like(field))
    greedy.add_force(volume, volume, factors, rows, np.zeros_like(field))
    greedy.adam(field, np.zeros_like(field), np.zeros_like(volume), 1, np.empty_like(field), betas=(0.9, 0.99))
    lengths.longest(field)
    lengths.typical(field)


if __name__ == "__main__":
    print(f"kernels compiled in {compile_all():.1f} s")

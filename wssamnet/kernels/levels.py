"""One extent at several voxel sizes: grids that share their axes, so that going from one to another is a resizing."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from wssamnet.geometry import Frame, Grid
from wssamnet.kernels.resizing import resize
from wssamnet.kernels.smoothing import gaussian


def positions(source: Grid, target: Grid) -> tuple[NDArray[np.float64], ...]:
    """Indices of `source` at those of `target` along each axis, for `resize`; the grids share their axes."""
    matrix = source.matrix(Frame.LPS, Frame.IJK) @ target.matrix(Frame.IJK, Frame.LPS)
    return tuple(np.arange(n) * matrix[axis, axis] + matrix[axis, 3] for axis, n in enumerate(target.shape))


def blur(level: Grid, grid: Grid) -> NDArray[np.float64]:
    """(3,) sigma in voxels of `grid` that, with linear interpolation, makes a voxel of `level`; 0 where it is finer."""
    return np.asarray(0.42 * np.sqrt(np.maximum((level.spacing / grid.spacing) ** 2 - 1, 0)))


def shrink(images: NDArray[np.float32], grid: Grid, level: Grid) -> NDArray[np.float32]:
    """Bring images to a coarser level, smoothed for it first.

    Args:
        images: (C, X, Y, Z) on `grid`.
        grid, level: of one extent, such as a grid and its `resampled`.

    Returns:
        (C, x, y, z) on `level`; the images themselves where that is the grid.
    """
    if level is grid:
        return images
    smoothed = gaussian(np.ascontiguousarray(np.moveaxis(images, 0, -1)), blur(level, grid))
    return np.ascontiguousarray(np.moveaxis(resize(smoothed, positions(grid, level)), -1, 0))

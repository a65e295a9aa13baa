"""ROI masks: the paper's weak labels, a cube around each landmark."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from wssamnet.geometry import Frame, Grid


def roi_mask(points: ArrayLike, grid: Grid, edge: int) -> NDArray[np.bool_]:
    """Cubes of edge³ voxels around points.

    Args:
        points: (N, 3) LPS mm of `grid`'s space.
        grid: the working grid.
        edge: voxels; an even edge has its extra voxel on the high side.

    Returns:
        (X, Y, Z); cubes are cut at the grid's border, points beyond it leave nothing but what reaches in.
    """
    mask = np.zeros(grid.shape, dtype=np.bool_)
    size = np.array(grid.shape)
    first = np.rint(grid.convert(points, Frame.LPS, Frame.IJK)).astype(int) - (edge - 1) // 2
    for low, high in zip(np.clip(first, 0, size), np.clip(first + edge, 0, size), strict=True):
        mask[tuple(slice(a, b) for a, b in zip(low, high, strict=True))] = True
    return mask

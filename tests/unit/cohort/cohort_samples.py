"""Images and landmarks that the tests of this room write."""

from __future__ import annotations

import numpy as np
from wssamnet.geometry import Frame, Grid
from wssamnet.landmarks import Landmarks

SHAPE = (20, 22, 18)
GRID = Grid(SHAPE, np.array([[-8.0, 0, 0, 0], [0, -8, 0, 239], [0, 0, 8, 0], [0, 0, 0, 1]]))


def brain(seed: int = 0) -> np.ndarray:
    """A textured ellipsoid, int16, 0 outside."""
    axes = np.stack(np.meshgrid(*[np.linspace(-1, 1, n) for n in SHAPE], indexing="ij"))
    inside = (axes**2).sum(axis=0) < 0.7
    return (np.random.default_rng(seed).integers(100, 1000, SHAPE) * inside).astype(np.int16)


def points() -> Landmarks:
    """Five landmarks inside the ellipsoid, LPS mm."""
    ijk = np.array([[10, 11, 9], [8, 10, 7], [12, 12, 10], [9, 13, 8], [11, 8, 11]])
    return Landmarks((1, 2, 3, 4, 5), GRID.convert(ijk, Frame.IJK, Frame.LPS))

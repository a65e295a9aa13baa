"""A textured head that can be rendered on any grid, and a case on disk made of two of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from wssamnet.cohort import Case, Scan
from wssamnet.fields import AffineMap
from wssamnet.geometry import Array, Frame, Grid
from wssamnet.images import Volume, write_image
from wssamnet.landmarks import Landmarks, write_landmarks

RADII = np.array([52.0, 58.0, 44.0])
_WAVES = np.random.default_rng(7)
_FREQUENCIES = _WAVES.normal(0, 1 / 9.0, (24, 3))
_PHASES = _WAVES.uniform(0, 2 * np.pi, 24)


def centre(grid: Grid) -> Array:
    """The middle of a grid, LPS mm."""
    return grid.convert((np.array(grid.shape) - 1) / 2, Frame.IJK, Frame.LPS)


def head(points: Array) -> Array:
    """Intensity at (..., 3) mm about the head's centre: smooth texture in an ellipsoid, 0 outside."""
    waves = np.sin(points @ _FREQUENCIES.T + _PHASES).sum(axis=-1)
    return np.where(((points / RADII) ** 2).sum(axis=-1) < 1, (500 + 60 * waves).clip(20), 0)


def render(grid: Grid, middle: Array, pull: AffineMap | None = None) -> NDArray[np.float64]:
    """The head around `middle` on a grid; `pull` maps the grid's points first (LPS mm)."""
    index = np.stack(np.meshgrid(*[np.arange(n) for n in grid.shape], indexing="ij"), axis=-1)
    points = grid.convert(index, Frame.IJK, Frame.LPS)
    return head((pull(points) if pull else points) - middle)


def small_affine(middle: Array) -> AffineMap:
    """A rotation of about 7 degrees, 4 % of scale and a shift of some mm about `middle`."""
    a, b = np.radians(6), np.radians(-4)
    x = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    z = np.array([[np.cos(b), -np.sin(b), 0], [np.sin(b), np.cos(b), 0], [0, 0, 1]])
    matrix = np.eye(4)
    matrix[:3, :3] = x @ z @ np.diag([1.04, 0.97, 1.01])
    matrix[:3, 3] = middle + np.array([4.0, -3.0, 5.0]) - matrix[:3, :3] @ middle
    return AffineMap(matrix)


def landmark_points(middle: Array) -> Array:
    """Six places well inside the head, LPS mm."""
    offsets = [[20, 0, 0], [-18, 22, 5], [0, -25, 12], [5, 5, -20], [-22, -10, -8], [12, 18, 15]]
    return middle + np.array(offsets, dtype=np.float64)


def write_scan(folder: Path, name: str, image: NDArray[np.float64], grid: Grid, points: Array | None) -> Scan:
    """Write one modality and landmarks."""
    write_image(folder / f"{name}.nii.gz", Volume(np.rint(image).astype(np.int16), grid))
    if points is not None:
        write_landmarks(folder / f"{name}.csv", Landmarks(tuple(range(1, len(points) + 1)), points))
    return Scan({"t1ce": folder / f"{name}.nii.gz"}, folder / f"{name}.csv" if points is not None else None)


def write_case(folder: Path, fixed: Grid, moving: Grid, truth: AffineMap | None = None) -> Case:
    """A case whose true pull-back is `truth` (None: the identity), with landmarks in both scans."""
    folder.mkdir(parents=True, exist_ok=True)
    middle = centre(fixed)
    truth = truth or AffineMap()
    points = landmark_points(middle)
    return Case(
        "case_a",
        write_scan(folder, "fixed", render(fixed, middle), fixed, points),
        write_scan(folder, "moving", render(moving, middle, truth.inverse()), moving, truth(points)),
    )

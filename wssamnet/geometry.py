"""Voxel grids and coordinate frames: the only place where a sign flips.

Frames
------
IJK   voxel indices of a grid; (0, 0, 0) is the *centre* of the first voxel.
RAS   world millimetres, +x right, +y anterior, +z superior: NIfTI affines and nibabel.
LPS   world millimetres, +x left, +y posterior, +z superior: ITK, ANTs, 3D Slicer's files and
      the challenge's landmark files. Every transform and point of this package is in LPS.
CUBE  indices scaled so that the centres of the first and last voxels are -1 and +1
      (torch's ``align_corners=True``), in ijk order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import ArrayLike, NDArray

from wssamnet.errors import GeometryError

Array = NDArray[np.float64]
_LPS_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


class Frame(Enum):
    """The frame that a set of points is given in; see the module's docstring."""

    IJK = "ijk"
    RAS = "ras"
    LPS = "lps"
    CUBE = "cube"


def transform_points(matrix: ArrayLike, points: ArrayLike) -> Array:
    """Apply a homogeneous (4, 4) matrix to (..., 3) points of one frame."""
    m = np.asarray(matrix, dtype=np.float64)
    p = np.asarray(points, dtype=np.float64)
    return np.asarray(p @ m[:3, :3].T + m[:3, 3])


def swap_ras_lps(matrix: ArrayLike) -> Array:
    """Rewrite a (4, 4) point map between two world frames from RAS to LPS, or back."""
    return np.asarray(_LPS_RAS @ np.asarray(matrix, dtype=np.float64) @ _LPS_RAS)


@dataclass(frozen=True, eq=False)
class Grid:
    """A regular voxel grid in the world.

    Args:
        shape: voxels along i, j, k.
        affine: (4, 4), voxel indices to RAS millimetres (NIfTI's convention).

    Raises:
        GeometryError: the shape is empty, or the affine is not finite or cannot be inverted.
    """

    shape: tuple[int, int, int]
    affine: Array

    def __post_init__(self) -> None:
        shape = tuple(int(n) for n in self.shape)
        if len(shape) != 3 or min(shape) < 1:
            raise GeometryError(f"shape {self.shape} is not a 3-D grid", remedy="three positive sizes")
        affine = np.array(self.affine, dtype=np.float64)
        if affine.shape != (4, 4) or not np.isfinite(affine).all():
            raise GeometryError("the affine is not a finite 4x4 matrix", remedy="sixteen finite numbers")
        if not np.allclose(affine[3], (0, 0, 0, 1)):
            raise GeometryError(f"the affine's last row is {affine[3].tolist()}", remedy="0 0 0 1")
        lengths = np.linalg.norm(affine[:3, :3], axis=0)
        if lengths.min() < 1e-6 or abs(np.linalg.det(affine[:3, :3])) < 1e-6 * lengths.prod():
            raise GeometryError("the affine is singular", remedy="three independent axes with a spacing above 0")
        affine.setflags(write=False)
        object.__setattr__(self, "shape", shape)
        object.__setattr__(self, "affine", affine)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Grid) and self.matches(other)

    __hash__ = None  # type: ignore[assignment]  # equality has a tolerance

    def matches(self, other: Grid, tolerance: float = 1e-3) -> bool:
        """Same shape, and corners that differ by less than `tolerance` mm."""
        if self.shape != other.shape:
            return False
        corners = np.array(np.meshgrid(*[(0, n - 1) for n in self.shape])).reshape(3, -1).T
        gap = transform_points(self.affine, corners) - transform_points(other.affine, corners)
        return bool(np.abs(gap).max() < tolerance)

    @property
    def spacing(self) -> Array:
        """(3,) voxel sizes in mm along i, j, k."""
        return np.asarray(np.linalg.norm(self.affine[:3, :3], axis=0))

    @property
    def lps_affine(self) -> Array:
        """(4, 4), voxel indices to LPS mm."""
        return _LPS_RAS @ self.affine

    @property
    def direction(self) -> Array:
        """(3, 3), ITK's direction cosines: the columns are the voxel axes in LPS."""
        return self.lps_affine[:3, :3] / self.spacing

    @property
    def origin(self) -> Array:
        """(3,), ITK's origin: the centre of the first voxel, LPS mm."""
        return self.lps_affine[:3, 3].copy()

    @property
    def shear(self) -> float:
        """The largest cosine between two voxel axes; 0 where they are perpendicular."""
        cosines = self.affine[:3, :3] / self.spacing
        return float(np.abs(cosines.T @ cosines - np.eye(3)).max())

    @classmethod
    def from_itk(cls, shape: Sequence[int], spacing: ArrayLike, origin: ArrayLike, direction: ArrayLike) -> Grid:
        """Build a grid from ITK's description; all arguments in ijk (x, y, z) order."""
        lps = np.eye(4)
        lps[:3, :3] = np.asarray(direction, dtype=np.float64).reshape(3, 3) * np.asarray(spacing)
        lps[:3, 3] = np.asarray(origin)
        i, j, k = shape
        return cls((i, j, k), _LPS_RAS @ lps)

    def _to_ras(self, frame: Frame) -> Array:
        """The (4, 4) matrix that takes points of `frame` to RAS."""
        if frame is Frame.RAS:
            return np.eye(4)
        if frame is Frame.LPS:
            return _LPS_RAS
        if frame is Frame.IJK:
            return self.affine
        half = np.maximum(np.array(self.shape) - 1, 1) / 2
        cube = np.eye(4)
        cube[:3, :3] = np.diag(half)
        cube[:3, 3] = (np.array(self.shape) - 1) / 2
        return self.affine @ cube

    def matrix(self, source: Frame, target: Frame) -> Array:
        """The (4, 4) matrix that takes points from one frame to another on this grid."""
        return np.linalg.inv(self._to_ras(target)) @ self._to_ras(source)

    def convert(self, points: ArrayLike, source: Frame, target: Frame) -> Array:
        """Take (..., 3) points from one frame to another on this grid."""
        return transform_points(self.matrix(source, target), points)

    def vectors(self, vectors: ArrayLike, source: Frame, target: Frame) -> Array:
        """Take (..., 3) displacements (no origin) from one frame to another."""
        m = self.matrix(source, target)[:3, :3]
        return np.asarray(vectors, dtype=np.float64) @ m.T

    def contains(self, points_lps: ArrayLike, margin: float = 0.5) -> NDArray[np.bool_]:
        """Whether LPS points lie on the grid, edges of voxels included; (...,) bool."""
        ijk = self.convert(points_lps, Frame.LPS, Frame.IJK)
        return np.asarray(((ijk >= -margin) & (ijk <= np.array(self.shape) - 1 + margin)).all(axis=-1))

    def crop(self, start: ArrayLike, shape: Sequence[int]) -> Grid:
        """The sub-grid (or, with a negative start, the padded grid) that begins at index `start`."""
        affine = self.affine.copy()
        affine[:3, 3] = transform_points(self.affine, start)
        i, j, k = shape
        return Grid((i, j, k), affine)

    def canonical(self) -> Grid:
        """The same voxels with axes permuted and flipped to be closest to RAS."""
        cosines = self.affine[:3, :3] / self.spacing
        order = [-1, -1, -1]
        left = np.abs(cosines)
        for _ in range(3):
            world, axis = np.unravel_index(np.argmax(left), left.shape)
            order[int(world)] = int(axis)
            left[int(world), :] = -1
            left[:, int(axis)] = -1
        matrix, corner = np.zeros((4, 4)), np.zeros(4)
        corner[3] = matrix[3, 3] = 1
        for row, column in enumerate(order):
            sign = 1.0 if cosines[row, column] >= 0 else -1.0
            matrix[column, row] = sign
            if sign < 0:
                corner[column] = self.shape[column] - 1
        matrix[:, 3] = corner
        shape = [self.shape[column] for column in order]
        return Grid((shape[0], shape[1], shape[2]), self.affine @ matrix)

    def resampled(self, spacing: float | ArrayLike) -> Grid:
        """A grid over the same extent (outer voxel faces) with another spacing in mm."""
        new = np.broadcast_to(np.asarray(spacing, dtype=np.float64), (3,))
        shape = np.maximum(np.rint(np.array(self.shape) * self.spacing / new - 1e-6).astype(int), 1)
        scale = new / self.spacing
        affine = self.affine.copy()
        affine[:3, :3] = self.affine[:3, :3] * scale
        centre = (np.array(self.shape) - 1) / 2 - scale * (shape - 1) / 2
        affine[:3, 3] = transform_points(self.affine, centre)
        return Grid((int(shape[0]), int(shape[1]), int(shape[2])), affine)

    def to_dict(self) -> dict[str, list[int] | list[list[float]]]:
        """A JSON-ready description; `Grid(**description)` builds it again."""
        return {"shape": list(self.shape), "affine": self.affine.tolist()}

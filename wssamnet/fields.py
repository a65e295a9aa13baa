"""Point transforms in LPS mm: affine maps, displacement fields, chains, inverses, resampling.

Direction: a *pull-back* maps points of the fixed scan to points of the moving scan. It brings
the moving image onto the fixed grid (`resample`). Moving landmarks go the other way, through
the *push-forward*, its inverse.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from wssamnet.errors import GeometryError
from wssamnet.geometry import Array, Frame, Grid, transform_points
from wssamnet.images import Volume
from wssamnet.kernels.inversion import invert_points
from wssamnet.kernels.jacobian import determinant
from wssamnet.kernels.sampling import sample

_SLAB = 1 << 20  # points handled at once, so that a full-size grid of points is never held


class Transform(Protocol):
    """Anything that maps points."""

    def __call__(self, points: ArrayLike) -> Array:
        """Map (N, 3) LPS mm points to (N, 3) LPS mm points."""
        ...


@dataclass(frozen=True, eq=False)
class AffineMap:
    """`matrix`: (4, 4), LPS mm to LPS mm."""

    matrix: Array = field(default_factory=lambda: np.eye(4, dtype=np.float64))

    def __call__(self, points: ArrayLike) -> Array:
        return transform_points(self.matrix, points)

    def inverse(self) -> AffineMap:
        """The exact inverse."""
        return AffineMap(np.asarray(np.linalg.inv(self.matrix)))


@dataclass(frozen=True, eq=False)
class DisplacementField:
    """p → p + u(p), u interpolated linearly.

    Args:
        displacement: (X, Y, Z, 3) float32, LPS mm.
        grid: where it lives.
        outside: "border" repeats the edge's displacement, "zero" leaves points unmoved (ITK's way).
    """

    displacement: NDArray[np.float32]
    grid: Grid
    outside: str = "border"

    def __post_init__(self) -> None:
        if self.displacement.shape != (*self.grid.shape, 3):
            raise GeometryError(f"a field of shape {self.displacement.shape} does not fit a grid of {self.grid.shape}")

    def __call__(self, points: ArrayLike) -> Array:
        p = np.asarray(points, dtype=np.float64)
        ijk = self.grid.convert(p, Frame.LPS, Frame.IJK)
        return np.asarray(p + sample(self.displacement, ijk, outside=self.outside))


@dataclass(frozen=True, eq=False)
class Chain:
    """Transforms applied one after the other, the first in the list first."""

    transforms: tuple[Transform, ...]

    def __call__(self, points: ArrayLike) -> Array:
        p = np.asarray(points, dtype=np.float64)
        for transform in self.transforms:
            p = transform(p)
        return p


def identity() -> AffineMap:
    """The transform that moves nothing."""
    return AffineMap()


def _slabs(grid: Grid) -> Iterator[tuple[slice, Array]]:
    """The grid's points in LPS mm, a few i-planes at a time: (slice along i, (N, 3))."""
    step = max(1, _SLAB // (grid.shape[1] * grid.shape[2]))
    for start in range(0, grid.shape[0], step):
        planes = slice(start, min(start + step, grid.shape[0]))
        axes = (np.arange(planes.start, planes.stop), *(np.arange(n) for n in grid.shape[1:]))
        ijk = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
        yield planes, grid.convert(ijk, Frame.IJK, Frame.LPS)


def as_displacement(transform: Transform, grid: Grid) -> DisplacementField:
    """Sample any transform on a grid."""
    u = np.empty((*grid.shape, 3), dtype=np.float32)
    for planes, points in _slabs(grid):
        u[planes] = (transform(points) - points).reshape(-1, *grid.shape[1:], 3)
    return DisplacementField(u, grid)


def resample(volume: Volume, grid: Grid, transform: Transform | None = None, *, order: int = 1) -> Volume:
    """Bring an image onto `grid` with one interpolation.

    Args:
        volume: the image to be read (the moving one).
        grid: where the result lives (the fixed one).
        transform: pull-back, points of `grid` to points of `volume`; None for none.
        order: 1 linear (float32), 0 nearest neighbour (the image's own type).

    Returns:
        the image on `grid`; 0 outside `volume`.
    """
    data = np.ascontiguousarray(volume.data, dtype=np.float32 if order == 1 else None)  # once, not per slab
    out = np.empty(grid.shape, dtype=data.dtype)
    for planes, points in _slabs(grid):
        mapped = points if transform is None else transform(points)
        ijk = volume.grid.convert(mapped, Frame.LPS, Frame.IJK)
        out[planes] = sample(data, ijk, order=order, outside="zero").reshape(-1, *grid.shape[1:])
    return Volume(out, grid)


def inverse_at(
    transform: Transform, points: ArrayLike, *, iterations: int = 50, tolerance: float = 1e-3
) -> tuple[Array, NDArray[np.bool_]]:
    """Solve ``transform(x) = y`` for any transform, by damped fixed-point iteration.

    ``x ← x + s (y - transform(x))``, s halved at a point whenever its residual did not fall. For
    a displacement field `InverseField` does the same, compiled.

    Args:
        transform: not far from a translation (compose an affine's exact inverse around it).
        points: (N, 3) y, LPS mm.
        iterations: at most so many steps.
        tolerance: mm.

    Returns:
        (N, 3) x in LPS mm, and (N,) whether the residual fell below `tolerance`. Where it did not
        (a fold), the point with the smallest residual met on the way is returned.
    """
    y = np.asarray(points, dtype=np.float64)
    best, gap = y.copy(), np.zeros_like(y)
    smallest, step = np.full(len(y), np.inf), np.ones(len(y))
    for _ in range(iterations + 1):
        trial = best + step[:, None] * gap
        residual = y - transform(trial)
        size = np.linalg.norm(residual, axis=1)
        better = size < smallest
        step[~better] /= 2
        best[better], gap[better], smallest[better] = trial[better], residual[better], size[better]
        if (smallest < tolerance).all():
            break
    return best, smallest < tolerance


@dataclass(frozen=True, eq=False)
class InverseField:
    """The exact inverse of a displacement field, solved anew at every point that is asked for.

    Args:
        field: the field to be inverted.
        iterations, tolerance: at most so many steps to a residual in mm; see `invert_points`.
    """

    field: DisplacementField
    iterations: int = 50
    tolerance: float = 1e-3

    def __call__(self, points: ArrayLike) -> Array:
        return self.solve(points)[0]

    def solve(self, points: ArrayLike) -> tuple[Array, Array]:
        """Solve ``field(x) = y``.

        Args:
            points: (N, 3) y, LPS mm.

        Returns:
            (N, 3) x in LPS mm, and (N,) the residual ``|y - field(x)|`` in mm. Where it did not
            fall below `tolerance` (a fold), x is the point with the smallest residual met.
        """
        f = self.field
        matrix = f.grid.matrix(Frame.LPS, Frame.IJK)
        y = np.asarray(points, dtype=np.float64)
        return invert_points(
            f.displacement, matrix, y, outside=f.outside, iterations=self.iterations, tolerance=self.tolerance
        )


def inverse(
    field_: DisplacementField, grid: Grid, *, iterations: int = 50, tolerance: float = 1e-2
) -> DisplacementField:
    """The inverse of a displacement field, sampled on `grid` (points of the field's target space)."""
    return as_displacement(InverseField(field_, iterations, tolerance), grid)


def jacobian_determinant(field_: DisplacementField) -> NDArray[np.float32]:
    """det J of p → p + u(p) by central differences (one-sided at the edges).

    Returns:
        (X, Y, Z) float32; 1 where nothing moves, <= 0 where space folds. Independent of the
        grid's orientation, since derivatives are taken in mm along the voxel axes.
    """
    return determinant(field_.displacement, field_.grid.matrix(Frame.LPS, Frame.IJK)[:3, :3])

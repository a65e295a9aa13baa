"""Point transforms in LPS mm: affine maps, displacement fields, chains, inverses, resampling.

Direction: a *pull-back* maps points of the fixed scan to points of the moving scan. It brings
the moving image onto the fixed grid (`resample`). Moving landmarks go the other way, through
the *push-forward*, its inverse.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from wssamnet.errors import GeometryError
from wssamnet.geometry import Array, Frame, Grid, swap_ras_lps, transform_points
from wssamnet.images import Volume
from wssamnet.kernels.grid_inversion import EVERY, displace_back
from wssamnet.kernels.grids import carry, displace
from wssamnet.kernels.inversion import invert_points
from wssamnet.kernels.jacobian import determinant
from wssamnet.kernels.sampling import sample
from wssamnet.kernels.threads import run_ranges

_SLAB = 1 << 16  # points handled at once, so that they stay in the processor's cache


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
        u = sample(self.displacement, p, matrix=self.grid.matrix(Frame.LPS, Frame.IJK), outside=self.outside)
        return np.asarray(p + u)


@dataclass(frozen=True, eq=False)
class Chain:
    """Transforms applied one after the other, the first in the list first."""

    transforms: tuple[Transform, ...]

    def __call__(self, points: ArrayLike) -> Array:
        p = np.asarray(points, dtype=np.float64)
        for transform in self.transforms:
            p = transform(p)
        return p


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


def identity() -> AffineMap:
    """The transform that moves nothing."""
    return AffineMap()


def _by_slabs(grid: Grid, work: Callable[[slice, Array], None]) -> None:
    """Call `work` on the grid's points in LPS mm, a few i-planes at a time: (slice along i, (N, 3)); in threads."""
    step = max(1, _SLAB // (grid.shape[1] * grid.shape[2]))
    matrix = grid.matrix(Frame.IJK, Frame.LPS)
    j, k = (np.arange(n, dtype=np.float64)[:, None] for n in grid.shape[1:])
    plane = (j * matrix[:3, 1])[:, None] + k * matrix[:3, 2] + matrix[:3, 3]

    def some(begin: int, end: int) -> None:
        for start in range(begin * step, min(end * step, grid.shape[0]), step):
            planes = slice(start, min(start + step, grid.shape[0]))
            i = np.arange(planes.start, planes.stop, dtype=np.float64)[:, None]
            work(planes, ((i * matrix[:3, 0])[:, None, None] + plane).reshape(-1, 3))

    run_ranges(some, -(-grid.shape[0] // step), parts=4)  # the same slabs for any number of threads


def _around_a_field(transform: Transform) -> tuple[Array, DisplacementField | InverseField, Array] | None:
    """A chain as affine map, field, affine map, (4, 4) each around it; None if it is anything else."""
    before, after = np.eye(4), np.eye(4)
    middle: DisplacementField | InverseField | None = None
    left = [transform]
    while left:
        part = left.pop(0)
        if isinstance(part, Chain):
            left[:0] = part.transforms
        elif isinstance(part, AffineMap) and middle is None:
            before = part.matrix @ before
        elif isinstance(part, AffineMap):
            after = part.matrix @ after
        elif isinstance(part, DisplacementField | InverseField) and middle is None:
            middle = part
        else:
            return None
    return None if middle is None else (before, middle, after)


def _sampled(transform: Transform, grid: Grid) -> NDArray[np.float32]:
    """(X, Y, Z, 3), point by point."""
    u = np.empty((*grid.shape, 3), dtype=np.float32)

    def fill(planes: slice, points: Array) -> None:
        u[planes] = (transform(points) - points).reshape(-1, *grid.shape[1:], 3)

    _by_slabs(grid, fill)
    return u


def as_displacement(transform: Transform, grid: Grid) -> DisplacementField:
    """Sample any transform on a grid.

    Args:
        transform: called from several threads at once.
        grid: where the field shall live.
    """
    known = _around_a_field(transform)
    if known is None:
        return DisplacementField(_sampled(transform, grid), grid)
    before, middle, after = known
    points = grid.matrix(Frame.IJK, Frame.LPS)
    constant, linear = ((after @ before - np.eye(4)) @ points)[:3], after[:3, :3]
    if isinstance(middle, InverseField):
        return DisplacementField(_inverted(middle, grid, before, constant, linear), grid)
    place = (middle.grid.matrix(Frame.LPS, Frame.IJK) @ before @ points)[:3]
    u = displace(middle.displacement, place, constant, linear, grid.shape, outside=middle.outside)
    return DisplacementField(u, grid)


def _inverted(inverse_: InverseField, grid: Grid, before: Array, constant: Array, linear: Array) -> NDArray[np.float32]:
    """constant i + linear v(before p_i) at the indices i and points p_i of a grid; y + v(y) is the inverse field.

    Each grid starts from what every other point of it says; the coarsest from nothing.
    """
    field_ = inverse_.field
    coarse = Grid(
        tuple(-(-(n - 1) // EVERY) + 1 for n in grid.shape),  # type: ignore[arg-type]  # three of them
        grid.affine @ np.diag([EVERY] * 3 + [1.0]),
    )
    if np.prod(coarse.shape) < _SLAB:
        first = _sampled(inverse_, Grid(coarse.shape, swap_ras_lps(before) @ coarse.affine))
    else:
        first = _inverted(inverse_, coarse, before, np.zeros((3, 4)), np.eye(3))
    return displace_back(
        field_.displacement,
        field_.grid.matrix(Frame.LPS, Frame.IJK),
        (before @ grid.matrix(Frame.IJK, Frame.LPS))[:3],
        constant,
        linear,
        first,
        grid.shape,
        outside=field_.outside,
        iterations=inverse_.iterations,
        tolerance=inverse_.tolerance,
    )


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
    matrix = volume.grid.matrix(Frame.LPS, Frame.IJK)
    if order == 1 and isinstance(transform, DisplacementField) and transform.grid is grid:  # known at these very points
        place = (matrix @ grid.matrix(Frame.IJK, Frame.LPS))[:3]
        return Volume(carry(data, place, matrix[:3, :3], transform.displacement), grid)
    out = np.empty(grid.shape, dtype=data.dtype)

    def fill(planes: slice, points: Array) -> None:
        mapped = points if transform is None else transform(points)
        found = sample(data, mapped, matrix=matrix, order=order, outside="zero")
        out[planes] = found.reshape(-1, *grid.shape[1:])

    _by_slabs(grid, fill)
    return Volume(out, grid)


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

"""Three planes of a case, compact, for pictures: images, det J, displacement and landmarks.

Planes are chosen from the fixed scan and the errors *before* registration alone, so every method
is shown at the same place. They lie along voxel axes, nearest to sagittal, coronal and axial.

A picture has its rows from top to bottom and its columns from left to right: superior (or
anterior, in the axial plane) is up; the patient's right (or anterior, in the sagittal plane) is
left. Positions in a picture are mm from its upper left corner, x to the right and y down.

Keys of the file, PLANE being ``sagittal``, ``coronal`` or ``axial``:

    PLANE_fixed, PLANE_moving, PLANE_warped   (H, W) uint8; moving and warped share one window
    PLANE_brain           (H, W) bool
    PLANE_log_jacobian    (H, W) float16, natural log; NaN where space folds
    PLANE_displacement    (h, w, 2) float16, mm along the picture's x and y, at the pixels ::step
    PLANE_landmarks       (N, 9) float32: id, then x and y of fixed, moving and warped, then the
                          initial and the final Euclidean error, mm; those near the plane
    PLANE_place           (5,) float64: mm a pixel along x and y, step, index of the plane, LPS coordinate of its
                              middle
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wssamnet.evaluation.errors import euclidean
from wssamnet.fields import DisplacementField
from wssamnet.geometry import Array, Frame, Grid
from wssamnet.images import Volume
from wssamnet.kernels.sampling import sample

PLANES = {"sagittal": (0, 1, 2), "coronal": (1, 0, 2), "axial": (2, 0, 1)}  # canonical axes: normal, across, up
MARGIN_MM = 8.0
_NEAR_MM = 3.0  # a landmark is drawn on a plane that is not farther than this, or half a voxel
_SAMPLES = 96  # displacement samples along the longer side


@dataclass(frozen=True, eq=False)
class Marks:
    """Landmarks of a case, (N, 3) LPS mm each, in one order; `warped` may hold NaN."""

    ids: tuple[int, ...]
    fixed: Array
    moving: Array
    warped: Array


@dataclass(frozen=True)
class _Plane:
    """One plane of the canonical grid: `normal` axis at `index`, and the box to be shown."""

    axes: tuple[int, int, int]
    index: int
    low: tuple[int, int]
    high: tuple[int, int]
    spacing: tuple[float, float]

    def points(self, step: int = 1) -> Array:
        """(H, W, 3) canonical IJK of the pixels, rows from the top, columns from the left."""
        normal, across, up = self.axes
        columns = np.arange(self.high[0], self.low[0] - 1, -step)
        rows = np.arange(self.high[1], self.low[1] - 1, -step)
        ijk = np.empty((len(rows), len(columns), 3))
        ijk[..., normal] = self.index
        ijk[..., across] = columns[None, :]
        ijk[..., up] = rows[:, None]
        return ijk

    def place(self, ijk: Array) -> Array:
        """(N, 3) canonical IJK to (N, 2) mm in the picture."""
        _, across, up = self.axes
        x = (self.high[0] + 0.5 - ijk[:, across]) * self.spacing[0]
        y = (self.high[1] + 0.5 - ijk[:, up]) * self.spacing[1]
        return np.stack([x, y], axis=1)


def _choose(canonical: Grid, brain: Volume, marks: Marks | None) -> dict[str, _Plane]:
    """For each direction the plane with much brain on it and landmarks that had far to go."""
    voxels = np.argwhere(brain.data)
    ijk = np.rint(canonical.convert(brain.grid.convert(voxels, Frame.IJK, Frame.LPS), Frame.LPS, Frame.IJK))
    ijk = ijk.astype(np.int64)
    spacing, shape = canonical.spacing, np.array(canonical.shape)
    margin = np.ceil(MARGIN_MM / spacing).astype(int)
    low = np.maximum(ijk.min(axis=0) - margin, 0)
    high = np.minimum(ijk.max(axis=0) + margin, shape - 1)
    chosen = {}
    for name, (normal, across, up) in PLANES.items():
        area = np.bincount(ijk[:, normal], minlength=shape[normal]).astype(np.float64)
        score = area / area.max()
        if marks is not None:
            where = canonical.convert(marks.fixed, Frame.LPS, Frame.IJK)[:, normal]
            initial = np.minimum(euclidean(marks.moving, marks.fixed), 20)
            distance = np.abs(np.arange(shape[normal])[:, None] - where[None, :]) * spacing[normal]
            score = score * (1 + (distance <= max(_NEAR_MM, spacing[normal] / 2)) @ initial)
        chosen[name] = _Plane(
            axes=(normal, across, up),
            index=int(np.argmax(score)),
            low=(int(low[across]), int(low[up])),
            high=(int(high[across]), int(high[up])),
            spacing=(float(spacing[across]), float(spacing[up])),
        )
    return chosen


def as_bytes(values: NDArray[Any], low: float, high: float) -> NDArray[np.uint8]:
    """Intensities as grey values: `low` is black, `high` white."""
    return np.asarray(np.clip((values - low) / max(high - low, 1e-12), 0, 1) * 255 + 0.5, dtype=np.uint8)


def intensity_window(data: NDArray[Any]) -> tuple[float, float]:
    """Intensities shown as black and white: background, and the 99.5th percentile of the rest."""
    coarse = np.asarray(data[::2, ::2, ::2], dtype=np.float64)
    coarse = coarse if coarse.any() else np.asarray(data, dtype=np.float64)
    low = min(float(coarse.min()), 0.0)
    content = coarse[coarse > low]
    return low, float(np.percentile(content, 99.5)) if len(content) else low + 1


def cut_planes(
    fixed: Volume,
    moving: Volume,
    warped: Volume,
    brain: Volume,
    field: DisplacementField,
    determinant: NDArray[np.float32],
    marks: Marks | None,
) -> dict[str, NDArray[Any]]:
    """Cut the three planes.

    Args:
        fixed, warped, brain: on the native fixed grid; `brain` is a mask.
        moving: native moving grid; shown where it lies in the world, not registered.
        field: pull-back on the fixed grid.
        determinant: (X, Y, Z) of `field`.
        marks: the case's landmarks, if it has any.

    Returns:
        the arrays of the file, as the module's docstring lists them.
    """
    grid, canonical = fixed.grid, fixed.grid.canonical()
    windows = {"fixed": intensity_window(fixed.data), "moving": intensity_window(moving.data)}
    out: dict[str, NDArray[Any]] = {}
    for name, plane in _choose(canonical, brain, marks).items():
        points = plane.points()
        shape = points.shape[:2]
        world = canonical.convert(points.reshape(-1, 3), Frame.IJK, Frame.LPS)
        ijk = grid.convert(world, Frame.LPS, Frame.IJK)
        inside = sample(np.asarray(brain.data, dtype=np.uint8), ijk, order=0).reshape(shape) > 0
        seen = sample(moving.data, moving.grid.convert(world, Frame.LPS, Frame.IJK), outside="zero")
        det = sample(determinant, ijk, order=0).reshape(shape)
        out[f"{name}_fixed"] = as_bytes(sample(fixed.data, ijk, order=0).reshape(shape), *windows["fixed"])
        out[f"{name}_moving"] = as_bytes(seen.reshape(shape), *windows["moving"])
        out[f"{name}_warped"] = as_bytes(sample(warped.data, ijk, order=0).reshape(shape), *windows["moving"])
        out[f"{name}_brain"] = inside
        logarithm = np.log(np.where(det > 0, det, np.nan))
        out[f"{name}_log_jacobian"] = np.where(inside, logarithm, 0).astype(np.float16)

        step = max(1, -(-max(shape) // _SAMPLES))
        coarse = plane.points(step)
        u = sample(
            field.displacement,
            grid.convert(canonical.convert(coarse.reshape(-1, 3), Frame.IJK, Frame.LPS), Frame.LPS, Frame.IJK),
        )
        voxels = canonical.vectors(u, Frame.LPS, Frame.IJK).reshape(*coarse.shape[:2], 3)
        across = -voxels[..., plane.axes[1]] * plane.spacing[0]
        down = -voxels[..., plane.axes[2]] * plane.spacing[1]
        out[f"{name}_displacement"] = np.stack([across, down], axis=-1).astype(np.float16)
        out[f"{name}_landmarks"] = _near(plane, canonical, marks)
        coordinate = world[:, plane.axes[0]].mean()  # on an oblique grid no other is the same everywhere
        out[f"{name}_place"] = np.array([*plane.spacing, step, plane.index, coordinate])
    return out


def _near(plane: _Plane, canonical: Grid, marks: Marks | None) -> NDArray[np.float32]:
    """The landmarks near a plane: (N, 9), see the module's docstring."""
    if marks is None:
        return np.zeros((0, 9), dtype=np.float32)
    fixed, moving, warped = (
        canonical.convert(points, Frame.LPS, Frame.IJK) for points in (marks.fixed, marks.moving, marks.warped)
    )
    normal = plane.axes[0]
    distance = np.abs(fixed[:, normal] - plane.index) * canonical.spacing[normal]
    near = distance <= max(_NEAR_MM, canonical.spacing[normal] / 2)
    columns = [np.array(marks.ids, dtype=np.float64)[:, None]]
    columns += [plane.place(points) for points in (fixed, moving, warped)]
    columns += [euclidean(points, marks.fixed)[:, None] for points in (marks.moving, marks.warped)]
    return np.asarray(np.concatenate(columns, axis=1)[near], dtype=np.float32)

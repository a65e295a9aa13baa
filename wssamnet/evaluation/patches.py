"""The surroundings of a case's worst landmarks, for pictures: one plane through each, seen three times.

The plane goes through the landmark of the fixed scan. Of the planes along the voxel axes nearest to the
anatomical ones it is the one that shows most of the error: its normal is the axis along which the error is
smallest. Pictures lie as those of `planes`; positions are mm from their upper left corner, x to the right, y down.

Keys of the file, K landmarks of S by S pixels of `PIXEL_MM`:

    ids                    (K,) int64
    planes                 (K,) text: "sagittal", "coronal" or "axial"
    fixed, moving, warped  (K, S, S) uint8; moving lies where it does in the world and shares warped's window.
                           Without an image that could be read, no `warped`.
    moving_at, warped_at   (K, 3) float32: x, y, and mm from the plane: the moving landmark as it lies, and where
                           the method brought it. The landmark of the fixed scan is in the middle of the picture.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from wssamnet.evaluation.errors import KINDS, landmark_errors
from wssamnet.evaluation.planes import PLANES, Marks, as_bytes, intensity_window
from wssamnet.geometry import Array, Frame
from wssamnet.images import Volume
from wssamnet.kernels.sampling import sample

COUNT = 10  # landmarks of a case: all of a run's worst may lie in one
PIXEL_MM, SIZE = 1.0, 61


def _worst(marks: Marks) -> list[int]:
    """Rows of the landmarks whose error is among the `COUNT` largest of any kind, in the order of the file."""
    known = np.flatnonzero(np.isfinite(marks.warped).all(axis=1))
    rows: set[int] = set()
    for kind in KINDS:
        errors = landmark_errors(marks.warped[known], marks.fixed[known], kind)
        rows |= set(known[np.argsort(-errors, kind="stable")[:COUNT]].tolist())
    return sorted(rows)


def _seen(volume: Volume, world: Array, window: tuple[float, float]) -> NDArray[np.uint8]:
    values = sample(volume.data, volume.grid.convert(world, Frame.LPS, Frame.IJK), outside="zero")
    return as_bytes(values.reshape(SIZE, SIZE), *window)


def cut_patches(fixed: Volume, moving: Volume, warped: Volume | None, marks: Marks) -> dict[str, NDArray[Any]]:
    """Cut the surroundings of the worst landmarks.

    Args:
        fixed: native.
        moving: native; shown where it lies in the world, not registered.
        warped: on the native fixed grid; None where the method left none.
        marks: the case's landmarks.

    Returns:
        the arrays of the file, as the module's docstring lists them; empty where no landmark was warped.
    """
    axes = fixed.grid.canonical().direction.T  # a row an axis: about right, anterior, superior, in LPS
    windows = {"fixed": intensity_window(fixed.data), "moving": intensity_window(moving.data)}
    middle = (SIZE - 1) / 2
    steps = (np.arange(SIZE) - middle) * PIXEL_MM
    out: dict[str, list[Any]] = {name: [] for name in ("ids", "planes", "fixed", "moving", "moving_at", "warped_at")}
    if warped is not None:
        out["warped"] = []
    for row in _worst(marks):
        centre = marks.fixed[row]
        along = np.abs(axes @ (marks.warped[row] - centre))
        name = min(PLANES, key=lambda plane: along[PLANES[plane][0]])
        normal, across, up = PLANES[name]
        right, down = -axes[across], -axes[up]
        world = (centre + steps[:, None, None] * down + steps[None, :, None] * right).reshape(-1, 3)
        out["ids"].append(marks.ids[row])
        out["planes"].append(name)
        out["fixed"].append(_seen(fixed, world, windows["fixed"]))
        out["moving"].append(_seen(moving, world, windows["moving"]))
        if warped is not None:
            out["warped"].append(_seen(warped, world, windows["moving"]))
        for key, point in (("moving_at", marks.moving[row]), ("warped_at", marks.warped[row])):
            away = point - centre
            half = SIZE * PIXEL_MM / 2
            out[key].append([half + away @ right, half + away @ down, away @ axes[normal]])
    if not out["ids"]:
        return {}
    arrays = {name: np.array(values) for name, values in out.items()}
    return arrays | {name: arrays[name].astype(np.float32) for name in ("moving_at", "warped_at")}

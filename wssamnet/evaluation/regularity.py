"""Regularity of a deformation: folding, and the spread of the local change of volume."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wssamnet.errors import GeometryError
from wssamnet.fields import DisplacementField, jacobian_determinant

_SLAB = 24  # planes whose Jacobian is held at once


@dataclass(frozen=True)
class Regularity:
    """Regularity of one field inside a mask.

    Args:
        folding: share of voxels with det J <= 0, in [0, 1].
        sd_log_jacobian: standard deviation of the natural log of det J over the voxels that do not
            fold (it has no logarithm where they do; `folding` counts those); None if all fold.
        smallest: least det J.
        largest: greatest det J.
        voxels: voxels of the mask.
    """

    folding: float
    sd_log_jacobian: float | None
    smallest: float
    largest: float
    voxels: int


def determinant_around(field: DisplacementField, mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    """det J of identity + displacement, computed only in the mask's bounding box.

    Args:
        field: pull-back on the mask's grid.
        mask: (X, Y, Z).

    Returns:
        (X, Y, Z) float32; 1 outside the box. Inside, equal to `jacobian_determinant` of the whole field.

    Raises:
        GeometryError: the mask does not fit the field or is empty, or the field is not finite there.
    """
    if mask.shape != field.grid.shape:
        raise GeometryError(f"a mask of shape {mask.shape} does not fit a field on {field.grid.shape}")
    occupied = [np.flatnonzero(mask.any(axis=tuple({0, 1, 2} - {axis}))) for axis in range(3)]
    if any(len(index) == 0 for index in occupied):
        raise GeometryError("the brain mask is empty")
    out = np.ones(mask.shape, dtype=np.float32)
    low = [int(index[0]) for index in occupied]
    high = [int(index[-1]) + 1 for index in occupied]
    for start in range(low[0], high[0], _SLAB):
        inner = [(start, min(start + _SLAB, high[0])), (low[1], high[1]), (low[2], high[2])]
        # one more voxel on each side, so that the differences are central as in the whole field
        outer = [(max(a - 1, 0), min(b + 1, n)) for (a, b), n in zip(inner, mask.shape, strict=True)]
        window = tuple(slice(a, b) for a, b in outer)
        corner = [a for a, _ in outer]
        grid = field.grid.crop(corner, [b - a for a, b in outer])
        displacement = field.displacement[window]
        if not np.isfinite(displacement).all():
            raise GeometryError("the displacement field holds values that are not finite")
        part = jacobian_determinant(DisplacementField(displacement, grid))
        within = tuple(slice(a - c, b - c) for (a, b), c in zip(inner, corner, strict=True))
        out[tuple(slice(a, b) for a, b in inner)] = part[within]
    return out


def regularity(determinant: NDArray[Any], mask: NDArray[np.bool_]) -> Regularity:
    """Summarise a determinant inside a mask.

    Args:
        determinant: (X, Y, Z) det J.
        mask: (X, Y, Z) brain.

    Raises:
        GeometryError: the shapes differ, the mask is empty, or a determinant in it is not finite.
    """
    if determinant.shape != mask.shape:
        raise GeometryError(f"a determinant of shape {determinant.shape} does not fit a mask of {mask.shape}")
    inside = np.asarray(determinant[mask], dtype=np.float64)
    if not len(inside):
        raise GeometryError("the brain mask is empty")
    if not np.isfinite(inside).all():
        raise GeometryError(f"det J is not finite in {np.count_nonzero(~np.isfinite(inside))} voxels of the brain")
    positive = inside[inside > 0]
    return Regularity(
        folding=1 - len(positive) / len(inside),
        sd_log_jacobian=float(np.log(positive).std()) if len(positive) else None,
        smallest=float(inside.min()),
        largest=float(inside.max()),
        voxels=len(inside),
    )

"""Images, label maps and points through saved transforms, with one interpolation."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike

from wssamnet.errors import GeometryError, ImageError, SettingsError
from wssamnet.fields import DisplacementField, InverseField, Transform, resample
from wssamnet.geometry import Array, Grid
from wssamnet.images import Volume, read_grid, read_image
from wssamnet.transforms.inversion import invert, parts_of
from wssamnet.transforms.reading import read_chain

Interpolation = Literal["linear", "nearest", "label"]
Given = Transform | str | Path
_MOST_LABELS = 1000


def _chain(transforms: Sequence[Given] | Given, inverse: bool) -> Transform:
    chain = read_chain(transforms)
    return invert(chain) if inverse else chain


def _labels(volume: Volume, grid: Grid, chain: Transform) -> Volume:
    """Each voxel takes the label whose indicator, interpolated linearly, is largest there; ties keep the lower one."""
    names = np.unique(volume.data)
    if len(names) > _MOST_LABELS or not (names == np.rint(names)).all():
        raise ImageError("is not a label map", remedy="whole numbers, at most 1000 of them, or interpolation nearest")
    out = np.zeros(grid.shape, dtype=volume.data.dtype)
    best = np.zeros(grid.shape, dtype=np.float32)
    rest = np.ones(grid.shape, dtype=np.float32)  # what lies outside the image is background, 0
    for name in names[names != 0]:
        share = resample(Volume((volume.data == name).astype(np.float32), volume.grid), grid, chain).data
        rest -= share
        wins = share > best
        out[wins], best[wins] = name, share[wins]
    out[rest >= best] = 0
    return Volume(out, grid)


def apply_to_image(
    image: Volume | str | Path,
    transforms: Sequence[Given] | Given,
    reference: Grid | str | Path,
    *,
    interpolation: Interpolation = "linear",
    inverse: bool = False,
) -> Volume:
    """Bring an image onto the grid of another one, with one interpolation whatever the number of transforms.

    Args:
        image: the 3-D image or label map to be read.
        transforms: one or several, files or loaded; together they take points of the *reference* to points
            of the *image* (``fixed_to_moving.nii.gz`` for a moving image). Points travel through them in
            the order given, which is the order of ANTs's ``-t``.
        reference: an image on the wanted grid, or the grid.
        interpolation: "linear" (float32), "nearest" (the image's own type), or "label" (own type; the label
            with the largest linearly interpolated share wins: smoother borders than nearest, no new labels).
        inverse: apply the inverse of the whole chain: for transforms that take points of the image to points
            of the reference.

    Returns:
        the image on the reference grid; 0 where it does not reach.

    Raises:
        ImageError, GeometryError: a file cannot be read; `label` with values that are no labels.
        SettingsError: an unknown interpolation.
    """
    if interpolation not in get_args(Interpolation):
        raise SettingsError(f"'{interpolation}' is unknown", "--interpolation", "linear, nearest or label")
    grid = reference if isinstance(reference, Grid) else read_grid(reference)
    chain = _chain(transforms, inverse)
    volume = image if isinstance(image, Volume) else read_image(image, dtype=None)
    if interpolation != "label":
        return resample(volume, grid, chain, order=1 if interpolation == "linear" else 0)
    try:
        return _labels(volume, grid, chain)
    except ImageError as error:
        where = None if isinstance(image, Volume) else image
        raise ImageError(error.what, where, error.remedy) from None


def _as_points(points: ArrayLike) -> Array:
    array = np.asarray(points, dtype=np.float64)
    if array.size and (array.ndim not in (1, 2) or array.shape[-1] != 3):
        raise GeometryError(f"points have shape {array.shape}", remedy="(N, 3), LPS mm")
    return array.reshape(-1, 3)


def apply_to_points(points: ArrayLike, transforms: Sequence[Given] | Given, *, inverse: bool = False) -> Array:
    """Send points through transforms; they travel along them, in the order given.

    Args:
        points: (N, 3), LPS mm.
        transforms: one or several, files or loaded (``moving_to_fixed.nii.gz`` for moving landmarks).
        inverse: send them through the inverse of the whole chain, solved exactly at each point.

    Returns:
        (N, 3), LPS mm.

    Raises:
        ImageError: a file cannot be read.
        GeometryError: it is no transform, or the points are not (N, 3).
    """
    return np.asarray(_chain(transforms, inverse)(_as_points(points)))


def outside_fields(points: ArrayLike, transforms: Sequence[Given] | Given, *, inverse: bool = False) -> int:
    """How many points come to a displacement field, or with `inverse` from one, outside it, where ITK and we leave them
    unmoved."""
    where = _as_points(points)
    outside = np.zeros(len(where), dtype=np.bool_)
    for part in parts_of([_chain(transforms, inverse)]):
        if isinstance(part, DisplacementField):
            outside |= ~part.grid.contains(where)
        where = part(where)
        if isinstance(part, InverseField):
            outside |= ~part.field.grid.contains(where)
    return int(outside.sum())


def not_inverted(points: ArrayLike, mapped: ArrayLike, transforms: Sequence[Given] | Given) -> int:
    """How many inversely mapped points the chain does not take back to within 0.1 mm of where they came from."""
    there = _as_points(points)
    return int((np.linalg.norm(read_chain(transforms)(mapped) - there, axis=1) > 0.1).sum())

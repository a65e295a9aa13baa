"""Where the brain is: its mask on one scan, and the box that holds both scans' brains."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from wssamnet.fields import AffineMap
from wssamnet.geometry import Array, Frame, Grid

_EMPTY = 0.3  # share of voxels at exactly 0 from which an image counts as skull-stripped; a tight box has nearly half
_SPECK = 1e-3  # parts smaller than this share of the foreground are not tissue
_BINS = 256
_RINGING = 0.1  # negative values that are smaller than this share of the positive ones come from interpolation


def otsu(values: NDArray[Any]) -> float:
    """The threshold that best parts a histogram in two (Otsu 1979)."""
    low, high = np.percentile(values, (0.1, 99.9))
    counts, edges = np.histogram(values, bins=_BINS, range=(float(low), float(high) + 1e-6))
    centres = (edges[1:] + edges[:-1]) / 2
    below = np.cumsum(counts).astype(float)
    above = below[-1] - below
    mass = np.cumsum(counts * centres)
    with np.errstate(divide="ignore", invalid="ignore"):
        between = below * above * (mass / below - (mass[-1] - mass) / above) ** 2
    # all in one bin leaves nothing to part
    return float(edges[1:][int(np.nanargmax(np.nan_to_num(between[:-1])))])


def _foreground(image: NDArray[Any]) -> NDArray[np.bool_]:
    if np.count_nonzero(image == 0) >= _EMPTY * image.size:
        bright, dark = image > 0, image < 0
        # a brain of mean 0 (z-scores) is as often below as above it
        if dark.any() and bright.any() and -np.median(image[dark]) > _RINGING * np.median(image[bright]):
            return np.asarray(bright | dark)
        return np.asarray(bright)
    return np.asarray(image > otsu(image))


def bounding_box(mask: NDArray[np.bool_]) -> tuple[slice, slice, slice]:
    """The smallest box around the True voxels; the whole array where there are none."""
    slices = []
    for axis in range(3):
        hit = np.flatnonzero(mask.any(axis=tuple(other for other in range(3) if other != axis)))
        slices.append(slice(int(hit[0]), int(hit[-1]) + 1) if hit.size else slice(0, mask.shape[axis]))
    return slices[0], slices[1], slices[2]


def _without_specks(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    labels, count = ndimage.label(mask, structure=np.ones((3, 3, 3)))
    if count < 2:
        return mask
    sizes = np.bincount(labels.ravel())
    keep = sizes >= _SPECK * sizes[1:].sum()
    keep[0] = False
    return np.asarray(keep[labels])


def _filled(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Background that does not reach the outside becomes brain (cavities, ventricles at 0)."""
    labels, _ = ndimage.label(~np.pad(mask, 1))
    return np.asarray((labels != labels[0, 0, 0])[1:-1, 1:-1, 1:-1])


def brain_mask(images: Sequence[NDArray[Any]]) -> NDArray[np.bool_]:
    """The brain on a scan's own grid.

    Args:
        images: (X, Y, Z) each, the modalities of one time point. Skull-stripped images (a good
            part exactly 0) are taken as they are, z-scores too; of others, everything brighter than
            the background (the head).

    Returns:
        (X, Y, Z): voxels that are foreground in any of the images, without specks, holes filled.
    """
    mask = np.zeros(images[0].shape, dtype=np.bool_)
    for image in images:
        mask |= _foreground(image)
    box = bounding_box(mask)
    mask[box] = _without_specks(mask[box])
    box = bounding_box(mask)
    mask[box] = _filled(mask[box])
    return mask


def _hull_points(mask: NDArray[np.bool_]) -> Array:
    """(N, 3) IJK of the first and last voxel of every line along k: any affine image of the
    mask has its extremes among them."""
    i, j = np.nonzero(mask.any(axis=2))
    lines = mask[i, j]
    first = lines.argmax(axis=1)
    last = mask.shape[2] - 1 - lines[:, ::-1].argmax(axis=1)
    return np.stack([np.tile(i, 2), np.tile(j, 2), np.concatenate([first, last])], axis=1).astype(np.float64)


def joint_box(
    fixed_mask: NDArray[np.bool_],
    fixed_grid: Grid,
    moving_mask: NDArray[np.bool_],
    moving_grid: Grid,
    prealignment: AffineMap,
    *,
    spacing_mm: float | None = None,
    margin_mm: float = 2.0,
    multiple: int = 16,
) -> Grid:
    """The working grid: fixed space, axes closest to RAS, around both brains.

    Args:
        fixed_mask, moving_mask: (X, Y, Z) on their native grids.
        fixed_grid, moving_grid: those grids.
        prealignment: pull-back, LPS mm; the moving brain is placed by its inverse.
        spacing_mm: isotropic voxel size; None keeps the fixed scan's voxels exactly where they are.
        margin_mm: kept free on each side.
        multiple: every size is one of this number; the box may reach beyond the image for it.
    """
    base = fixed_grid.canonical()
    if spacing_mm is not None:
        base = base.resampled(spacing_mm)
    fixed = fixed_grid.convert(_hull_points(fixed_mask), Frame.IJK, Frame.LPS)
    moving = moving_grid.convert(_hull_points(moving_mask), Frame.IJK, Frame.LPS)
    points = base.convert(np.concatenate([fixed, prealignment.inverse()(moving)]), Frame.LPS, Frame.IJK)
    margin = margin_mm / base.spacing
    # rounding first: a voxel at 12.0000001 must not need one more
    low = np.floor(np.round(points.min(axis=0) - margin, 3)).astype(int)
    high = np.ceil(np.round(points.max(axis=0) + margin, 3)).astype(int)
    needed = high - low + 1
    sizes = -(-needed // multiple) * multiple
    start = low - (sizes - needed) // 2
    return base.crop(start, [int(n) for n in sizes])

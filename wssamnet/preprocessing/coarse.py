"""Coarse copies of a scan for the affine search: block means, then a light smoothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from wssamnet.geometry import Grid
from wssamnet.preprocessing.brain import bounding_box


@dataclass(frozen=True, eq=False)
class Coarse:
    """A scan at low resolution.

    Args:
        channels: (C, X, Y, Z) float32.
        brain: (X, Y, Z) float32, share of brain in each voxel.
        grid: its grid; axes as in the native one.
    """

    channels: NDArray[np.float32]
    brain: NDArray[np.float32]
    grid: Grid


def _block_mean(array: NDArray[Any], factors: tuple[int, int, int]) -> NDArray[np.float32]:
    """(..., X, Y, Z) means over blocks; one axis after the other, the last one first (contiguous)."""
    result = np.asarray(array, dtype=np.float32)
    for axis, factor in zip((-1, -2, -3), reversed(factors), strict=True):
        if factor == 1:
            continue
        size = result.shape[axis] // factor
        moved = np.moveaxis(result, axis, -1)
        total: NDArray[np.float32] = np.zeros((*moved.shape[:-1], size), dtype=np.float32)
        for n in range(factor):
            total += moved[..., n::factor][..., :size]
        total /= factor
        result = np.moveaxis(total, -1, axis)
    return np.ascontiguousarray(result)


def towards_ras(
    channels: NDArray[np.float32], mask: NDArray[np.bool_], grid: Grid
) -> tuple[NDArray[np.float32], NDArray[np.bool_], Grid]:
    """Views of a scan with its axes permuted and flipped to be closest to RAS: how a file is stored must not matter.

    Args:
        channels: (C, X, Y, Z).
        mask: (X, Y, Z).
        grid: their grid.
    """
    target = grid.canonical()
    matrix = np.rint(np.linalg.inv(grid.affine) @ target.affine)[:3, :3]
    order = [int(axis) for axis in np.abs(matrix).argmax(axis=0)]
    flips = tuple(slice(None, None, int(matrix[axis, new])) for new, axis in enumerate(order))
    return channels.transpose(0, *(axis + 1 for axis in order))[:, *flips], mask.transpose(order)[flips], target


def coarsen(
    channels: NDArray[np.float32], mask: NDArray[np.bool_], grid: Grid, spacing_mm: float, *, smooth: float = 0.7
) -> Coarse:
    """Reduce a normalised scan to voxels of about `spacing_mm`, cut to its brain with some air around.

    Args:
        channels: (C, X, Y, Z), 0 outside the mask.
        mask: (X, Y, Z) brain.
        grid: their grid.
        spacing_mm: wanted voxel size; whole multiples of the native one are used.
        smooth: sigma of the Gaussian afterwards, coarse voxels.
    """
    # a factor that rounds down: finer than asked for rather than coarser
    i, j, k = (max(1, int(spacing_mm / native + 0.25)) for native in grid.spacing)
    factors = (i, j, k)
    box = bounding_box(mask)
    margin = 4 * np.array(factors)
    low = np.array([part.start for part in box]) - margin
    high = np.array([part.stop for part in box]) + margin
    high = low + -(-(high - low) // factors) * factors
    inside = tuple(slice(max(a, 0), min(b, n)) for a, b, n in zip(low, high, grid.shape, strict=True))
    pad = [(max(-a, 0), max(b - n, 0)) for a, b, n in zip(low, high, grid.shape, strict=True)]
    reduced = _block_mean(np.pad(channels[(slice(None), *inside)], [(0, 0), *pad]), factors)
    brain = _block_mean(np.pad(mask[inside], pad), factors)
    affine = grid.crop(low, (1, 1, 1)).affine.copy()
    affine[:3, 3] += affine[:3, :3] @ ((np.array(factors) - 1) / 2)
    affine[:3, :3] = affine[:3, :3] * factors
    x, y, z = brain.shape
    smoothed = np.stack([gaussian_filter(channel, smooth, mode="constant") for channel in reduced])
    return Coarse(smoothed, brain, Grid((x, y, z), affine))

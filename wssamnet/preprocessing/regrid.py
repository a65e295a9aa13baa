"""Scans brought onto the working grid by one interpolation, exactly where no interpolation is needed."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from wssamnet.fields import AffineMap
from wssamnet.geometry import Array, Frame, Grid, transform_points
from wssamnet.kernels.sampling import sample
from wssamnet.preprocessing.intensity import DARKEST

_ROUND_OFF = 0.01  # voxels: below it a flip, permutation or crop is meant, and headers are float32
_COARSER = 1.25  # ratio of voxel sizes from which finer detail would alias


def index_map(source: Grid, target: Grid, transform: AffineMap) -> Array:
    """(4, 4): indices of `target` to indices of `source`; whole numbers where it is a flip, permutation or crop."""
    matrix = source.matrix(Frame.LPS, Frame.IJK) @ transform.matrix @ target.matrix(Frame.IJK, Frame.LPS)
    snapped = np.round(matrix)
    corners = np.array(np.meshgrid(*[(0, n - 1) for n in target.shape])).reshape(3, -1).T
    gap = np.abs(transform_points(matrix, corners) - transform_points(snapped, corners)).max()
    return snapped if gap < _ROUND_OFF else np.asarray(matrix)


def widths(source: Grid, target: Grid, transform: AffineMap | None = None) -> Array:
    """(3,) how wide a voxel of `target` is along each axis of `source`, in its voxels; see `regrid`."""
    return np.asarray(np.sqrt((index_map(source, target, transform or AffineMap())[:3, :3] ** 2).sum(axis=1)))


def _sampled(values: NDArray[Any], matrix: Array, shape: tuple[int, int, int]) -> NDArray[np.float32]:
    """(X, Y, Z, C) at mapped indices, plane by plane so that a full grid of points is never held."""
    out = np.empty((*shape, values.shape[-1]), dtype=np.float32)
    j, k = (axis.ravel() for axis in np.meshgrid(np.arange(shape[1]), np.arange(shape[2]), indexing="ij"))
    step = max(1, (1 << 20) // j.size)
    for start in range(0, shape[0], step):
        planes = np.arange(start, min(start + step, shape[0]))
        index = np.stack([np.repeat(planes, j.size), np.tile(j, planes.size), np.tile(k, planes.size)], axis=1)
        found = sample(values, index, matrix=matrix, outside="zero")
        out[planes] = found.reshape(planes.size, *shape[1:], -1)
    return out


def averaged(values: NDArray[np.float32]) -> tuple[NDArray[np.float16], NDArray[np.bool_]]:
    """Images as they are prepared, from what smoothing and interpolation made of images that are 0 outside a mask.

    Args:
        values: (C + 1, X, Y, Z), the images and last the mask, all treated alike.

    Returns:
        (C, X, Y, Z) float16, averages over the mask alone, 0 where it fills no more than half of the voxel; and
        that mask.
    """
    brain = values[-1] > 0.5
    with np.errstate(divide="ignore", invalid="ignore"):
        images = np.where(brain, values[:-1] / values[-1], 0)
    images = np.where(brain, np.clip(images, DARKEST, 1), 0)
    return np.ascontiguousarray(images.astype(np.float16)), brain


def regrid(
    channels: NDArray[np.float32],
    mask: NDArray[np.bool_],
    source: Grid,
    target: Grid,
    transform: AffineMap,
) -> tuple[NDArray[np.float16], NDArray[np.bool_]]:
    """Interpolate normalised channels and their mask.

    Background does not bleed into the brain: values are averages over brain voxels alone. A
    coarser target is smoothed for first.

    Args:
        channels: (C, X, Y, Z) on `source`, 0 outside the mask.
        mask: (X, Y, Z) brain on `source`.
        source, target: grids.
        transform: pull-back, LPS mm, points of `target` to points of `source`.

    Returns:
        (C, X, Y, Z) float16 on `target`, 0 outside the returned mask, and that mask.
    """
    values = np.concatenate([channels, mask[None].astype(np.float32)])
    coarser = widths(source, target)
    if coarser.max() > _COARSER:
        # together with the linear interpolation about the target voxel's own width
        sigma = 0.42 * np.sqrt(np.maximum(coarser**2 - 1, 0))
        values = np.stack([gaussian_filter(channel, sigma, mode="constant", truncate=3) for channel in values])
    matrix = index_map(source, target, transform)
    found = _sampled(np.ascontiguousarray(np.moveaxis(values, 0, -1)), matrix, target.shape)
    return averaged(np.moveaxis(found, -1, 0))

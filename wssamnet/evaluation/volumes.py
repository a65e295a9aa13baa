"""A case as small volumes, for looking through it slice by slice: images, log det J and displacement.

All lie in the box around the fixed brain, the same one for every method, along the voxel axes
nearest to the anatomical ones. Voxel (0, 0, 0) is the right, anterior, superior one; x runs to the
patient's left, y to posterior, z to inferior, and arrays are (z, y, x). So an axial, coronal or
sagittal slice is a picture as radiology shows it. *Display* coordinates are mm from the box's right,
anterior, superior corner along x, y and z.

Keys of the file:

    fixed, moving, warped  (Z, Y, X) uint8; moving and warped share one window
    log_jacobian           (Z', Y', X') uint8: 0 outside the brain; `FOLDED` where any voxel of the
                           cell folds; otherwise `NO_CHANGE` + `PER_DOUBLING` log2 det J, the mean
    displacement           (3, Z", Y", X") int8: along x, y, z at the cells' centres, in units of `scale`
    scale                  () float64, mm
    spacing                (3, 3) float64, mm along x, y and z of the images, log_jacobian, displacement
    to_display             (4, 4) float64, LPS mm to display mm
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from wssamnet.evaluation.planes import MARGIN_MM, as_bytes, intensity_window
from wssamnet.fields import DisplacementField
from wssamnet.geometry import Array, Frame, Grid, transform_points
from wssamnet.images import Volume
from wssamnet.kernels.sampling import sample

FOLDED, NO_CHANGE, PER_DOUBLING = 255, 128, 16
_MOST = 540_000  # voxels of an image: about 2 mm for a whole head
_CELL = 2.5  # voxels of an image along a cell of log det J
_NODES_MM = 8.0  # of the displacement, which is only drawn as a grid
_STEP_MM = 0.3  # of the displacement, or what a byte needs for the largest
_OCTAVES = 2.0  # of log2 det J, beyond which it is cut


def _box(canonical: Grid, brain: Volume) -> Grid:
    """The box around the brain with its margin: the canonical voxels, axes turned as in the display."""
    voxels = np.argwhere(brain.data)
    ijk = np.rint(canonical.convert(brain.grid.convert(voxels, Frame.IJK, Frame.LPS), Frame.LPS, Frame.IJK))
    margin = np.ceil(MARGIN_MM / canonical.spacing)
    low = np.maximum(ijk.min(axis=0) - margin, 0).astype(int)
    high = np.minimum(ijk.max(axis=0) + margin, np.array(canonical.shape) - 1).astype(int)
    affine = canonical.affine.copy()
    affine[:3, 3] = transform_points(canonical.affine, high)
    affine[:3, :3] *= -1
    i, j, k = (int(n) for n in high - low + 1)
    return Grid((i, j, k), affine)


def _divided(box: Grid, target: Array) -> Grid:
    """The same box, to its outer faces, in cells of about `target` (3,) mm."""
    extent = np.array(box.shape) * box.spacing
    shape = np.maximum(np.rint(extent / target), 1).astype(int)
    scale = np.array(box.shape) / shape
    affine = box.affine.copy()
    affine[:3, :3] = box.affine[:3, :3] * scale
    affine[:3, 3] = transform_points(box.affine, scale / 2 - 0.5)
    i, j, k = (int(n) for n in shape)
    return Grid((i, j, k), affine)


def _centres(grid: Grid) -> Array:
    """(Z Y X, 3) LPS mm of the voxels, x running fastest."""
    axes = [np.arange(n, dtype=np.float64) for n in grid.shape]
    z, y, x = np.meshgrid(axes[2], axes[1], axes[0], indexing="ij")
    return grid.convert(np.stack([x.ravel(), y.ravel(), z.ravel()], axis=1), Frame.IJK, Frame.LPS)


def _image(volume: Volume, view: Grid, world: Array, window: tuple[float, float]) -> NDArray[np.uint8]:
    """(Z, Y, X) of an image where `view` lies in the world; 0 outside the image."""
    data = np.asarray(volume.data, dtype=np.float32)
    # what the coarser voxels cannot show must not come back as noise
    ratio = float(view.spacing.mean()) / volume.grid.spacing
    sigma = 0.45 * np.sqrt(np.maximum(ratio**2 - 1, 0))
    if sigma.max() > 0.2:
        data = gaussian_filter(data, sigma, mode="nearest", truncate=3)
    values = sample(data, volume.grid.convert(world, Frame.LPS, Frame.IJK), outside="zero")
    return as_bytes(values.reshape(view.shape[::-1]), *window)


def _log_jacobian(determinant: NDArray[np.float32], brain: Volume, cells: Grid) -> NDArray[np.uint8]:
    """(Z, Y, X) codes: every voxel of the brain counts in the cell that its centre lies in."""
    voxels = np.argwhere(brain.data)
    place = cells.convert(brain.grid.convert(voxels, Frame.IJK, Frame.LPS), Frame.LPS, Frame.IJK)
    x, y, z = np.clip(np.rint(place).astype(int), 0, np.array(cells.shape) - 1).T
    index = np.ravel_multi_index((z, y, x), cells.shape[::-1])
    det = determinant[tuple(voxels.T)].astype(np.float64)
    octaves = np.log2(np.where(det > 0, det, 1))
    size = int(np.prod(cells.shape))
    count = np.bincount(index, minlength=size)
    mean = np.bincount(index, weights=octaves, minlength=size) / np.maximum(count, 1)
    codes = NO_CHANGE + np.rint(np.clip(mean, -_OCTAVES, _OCTAVES) * PER_DOUBLING)
    codes[count == 0] = 0
    codes[np.bincount(index, weights=det <= 0, minlength=size) > 0] = FOLDED
    return np.asarray(codes, dtype=np.uint8).reshape(cells.shape[::-1])


def cut_volumes(
    fixed: Volume,
    moving: Volume,
    warped: Volume,
    brain: Volume,
    field: DisplacementField,
    determinant: NDArray[np.float32],
) -> dict[str, NDArray[Any]]:
    """Make the small volumes of a case.

    Args:
        fixed, warped, brain: on the native fixed grid; `brain` is a mask.
        moving: native moving grid; shown where it lies in the world, not registered.
        field: pull-back on the fixed grid.
        determinant: (X, Y, Z) of `field`.

    Returns:
        the arrays of the file, as the module's docstring lists them.
    """
    box = _box(fixed.grid.canonical(), brain)
    extent = np.array(box.shape) * box.spacing
    size = max(float(box.spacing.min()), float(np.cbrt(extent.prod() / _MOST)))
    view = _divided(box, np.full(3, size))
    cells = _divided(box, np.maximum(_CELL * size, box.spacing))
    nodes = _divided(box, np.maximum(_NODES_MM, box.spacing))
    world = _centres(view)
    shared = intensity_window(moving.data)

    to_display = np.diag([*box.spacing, 1.0]) @ box.matrix(Frame.LPS, Frame.IJK)
    to_display[:3, 3] += box.spacing / 2
    u = sample(field.displacement, field.grid.convert(_centres(nodes), Frame.LPS, Frame.IJK)) @ to_display[:3, :3].T
    scale = max(_STEP_MM, float(np.abs(u).max()) / 127)
    return {
        "fixed": _image(fixed, view, world, intensity_window(fixed.data)),
        "moving": _image(moving, view, world, shared),
        "warped": _image(warped, view, world, shared),
        "log_jacobian": _log_jacobian(determinant, brain, cells),
        "displacement": np.rint(u.T / scale).astype(np.int8).reshape(3, *nodes.shape[::-1]),
        "scale": np.array(scale),
        "spacing": np.stack([grid.spacing for grid in (view, cells, nodes)]),
        "to_display": to_display,
    }

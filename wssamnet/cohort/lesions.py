"""The lesion of a scan: a mask of the tumour, or of its cavity, where somebody has drawn one."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from wssamnet.errors import GeometryError, ImageError
from wssamnet.images import Volume, read_grid, read_image

_MOST = 0.5  # of a scan; an inverted mask has more, and so has that of the brain


def read_lesion(path: Path, image: Path) -> Volume:
    """Read a lesion mask.

    Args:
        path: above 0.5 in the lesion; nothing at all in it is accepted, and is no lesion.
        image: of the same time point.

    Returns:
        (X, Y, Z) bool on the grid of `image`.

    Raises:
        ImageError: it cannot be read, or is lesion in most of what is not 0 in the image.
        GeometryError: it is not on the grid of `image`.
    """
    volume = read_image(path)
    if not volume.grid.matches(read_grid(image)):
        raise GeometryError("is not on the grid of its image", path, f"the voxels of {image}")
    inside = np.asarray(volume.data > 0.5)
    if inside.all():
        raise ImageError("excludes every voxel", path, "1 in the lesion, 0 elsewhere")
    if inside.any() and np.count_nonzero(inside) > _MOST * np.count_nonzero(read_image(image).data):
        raise ImageError(f"is more than half as large as all of {image.name}", path, "1 in the lesion, 0 elsewhere")
    return Volume(inside, volume.grid)

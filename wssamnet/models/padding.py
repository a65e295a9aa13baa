"""Sizes: the box that holds anything at all; zeros appended until sizes halve evenly, and cut off again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

Box = tuple[slice, slice, slice]


def content_box(*images: NDArray[Any]) -> Box:
    """The smallest box outside of which all images are 0; the whole grid if they are 0 everywhere.

    Args:
        images: (…, X, Y, Z), of one grid. Networks see only this box, so that background costs no time and
            changes no instance norm.
    """
    anything = np.zeros(images[0].shape[-3:], dtype=bool)
    for image in images:
        anything |= image.any(axis=tuple(range(image.ndim - 3)))
    # every voxel is asked once, not once for each axis
    columns: NDArray[np.bool_] = np.any(anything, axis=2)
    box = []
    for axes, seen in ((1, columns), (0, columns), ((0, 1), anything)):
        found: NDArray[np.bool_] = np.any(seen, axis=axes)
        places = np.flatnonzero(found)
        box.append(slice(int(places[0]), int(places[-1]) + 1) if len(places) else slice(0, len(found)))
    return box[0], box[1], box[2]


def padded_shape(shape: Sequence[int], multiple: int, at_least: int = 1) -> tuple[int, int, int]:
    """The smallest (X, Y, Z), each a multiple of `multiple` and none below `at_least` multiples."""
    x, y, z = (max(-(-int(n) // multiple), at_least) * multiple for n in shape)
    return x, y, z


def pad_end(image: Tensor, shape: Sequence[int]) -> Tensor:
    """Append zeros to (…, X, Y, Z) until its last three sizes are `shape`; itself where nothing is missing."""
    missing = [int(n) - size for n, size in zip(shape, image.shape[-3:], strict=True)]
    if not any(missing):
        return image
    return F.pad(image, (0, missing[2], 0, missing[1], 0, missing[0]))


def crop_end(image: Tensor, shape: Sequence[int]) -> Tensor:
    """The first `shape` voxels of (…, X, Y, Z), a view."""
    x, y, z = shape
    return image[..., :x, :y, :z]

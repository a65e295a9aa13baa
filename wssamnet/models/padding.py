"""Sizes that halve evenly: zeros appended at the end of each axis, cut off again afterwards."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor


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

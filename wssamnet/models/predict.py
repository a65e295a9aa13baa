"""From two arrays to a displacement field, with a trained network."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from wssamnet.errors import ModelError
from wssamnet.kernels.resizing import resize
from wssamnet.models.convolution import in_bfloat16
from wssamnet.models.padding import content_box
from wssamnet.models.voxelmorph import VoxelMorph
from wssamnet.models.wssamnet import Prediction, WSSAMNet


def predict(model: nn.Module, fixed: NDArray[Any], moving: NDArray[Any], *, rough: bool = False) -> NDArray[np.float32]:
    """Register one pair with whichever registration network `load_model` gave.

    Args:
        model: WSSAMNet or VoxelMorph.
        fixed, moving: (C, X, Y, Z) of one shape, any size; intensities in [0, 1], background 0.
        rough: for a field that is refined anyway; see `in_bfloat16`.

    Returns:
        (X, Y, Z, 3), displacement in voxels of that grid, ijk order, pull-back. The network sees the box
        where either image is not 0; around it the field continues as at its border.

    Raises:
        ModelError: the network does not register (a segmentation model), or the arrays do not fit it.
    """
    if not isinstance(model, WSSAMNet | VoxelMorph):
        raise ModelError(f"a {type(model).__name__} does not register", remedy="a wssamnet or voxelmorph model")
    images = fixed, moving
    device = next(model.parameters()).device
    for image in images:
        if image.ndim != 4 or image.shape != images[0].shape or image.shape[0] != model.channels:
            raise ModelError(
                f"cannot register images of shapes {' and '.join(str(i.shape) for i in images)}",
                remedy=f"two arrays (C, X, Y, Z) of one shape with {model.channels} channels, as it was trained",
            )
    shape, box = images[0].shape[1:], content_box(*images)
    pair = [torch.from_numpy(np.array(image[(None, slice(None), *box)], np.float32)).to(device) for image in images]
    with torch.inference_mode(), in_bfloat16(rough):
        out = model(*pair)
        displacement: Tensor = out.displacement if isinstance(out, Prediction) else out[0]
    field = displacement[0].float().movedim(0, -1).cpu().numpy()
    x, y, z = (np.arange(size, dtype=np.float64) - part.start for part, size in zip(box, shape, strict=True))
    return resize(field, (x, y, z))  # the same voxels, and around them the edge

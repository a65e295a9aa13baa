"""What the learned registrars share: a network's voxel field becomes a registration in LPS mm."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from wssamnet.errors import ModelError
from wssamnet.fields import Chain, DisplacementField, InverseField
from wssamnet.geometry import Frame
from wssamnet.models.persistence import WEIGHTS, load_model, read_description
from wssamnet.preprocessing.prepared import PreparedCase
from wssamnet.registration.protocol import Registration


class Network:
    """A registration network from a model folder, on the GPU where there is one.

    Args:
        folder: what the training left.
        kind: "wssamnet" or "voxelmorph".

    Raises:
        ModelError: there is no such model, it is damaged or of another kind.
    """

    def __init__(self, folder: str | Path, kind: Literal["wssamnet", "voxelmorph"]) -> None:
        folder = Path(folder)
        _, settings, _ = read_description(folder)
        device = torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
        self.module: nn.Module = load_model(folder, kind).to(device)
        self.device = str(device)
        self.modalities = settings.modalities
        self.record: dict[str, Any] = {
            "model": {
                "kind": kind,
                "preset": settings.preset,
                "seed": settings.seed,
                "sha256": hashlib.sha256((folder / WEIGHTS).read_bytes()).hexdigest(),
            }
        }

    def check(self, case: PreparedCase) -> None:
        """See that the case has the channels that the network was trained on.

        Raises:
            ModelError: it has others, or in another order.
        """
        found = tuple(case.record["modalities"])
        if found != tuple(self.modalities):
            raise ModelError(
                f"is prepared with {', '.join(found)}, the model was trained on {', '.join(self.modalities)}",
                case.id,
                "preprocess with the model's `modalities`",
            )


def registration_from_voxels(
    case: PreparedCase, displacement: NDArray[np.float32], record: dict[str, Any]
) -> Registration:
    """Turn a network's output into both directions in LPS mm, around the case's pre-alignment.

    The push-forward solves for the inverse of the field at every point that is asked for, so
    landmarks are as exact as the field, and so is the exported file.

    Args:
        case: the case that it belongs to.
        displacement: (X, Y, Z, 3), voxels of ``case.grid``, ijk order, pull-back.
        record: for ``run.json``.

    Raises:
        ModelError: the field holds values that are not finite.
    """
    if not np.isfinite(displacement).all():
        raise ModelError("the network gave a displacement that is not finite", case.id, "a model that was trained")
    grid = case.grid
    field = DisplacementField(grid.vectors(displacement, Frame.IJK, Frame.LPS).astype(np.float32), grid)
    start = case.prealignment
    return Registration(Chain((field, start)), Chain((start.inverse(), InverseField(field))), record)

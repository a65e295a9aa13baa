"""A trained network as the learned registrars use it."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from wssamnet.errors import ModelError
from wssamnet.kernels.levels import positions
from wssamnet.kernels.resizing import resize
from wssamnet.models.persistence import WEIGHTS, load_model, other_voxels, read_description
from wssamnet.models.placement import Placement
from wssamnet.models.predict import predict
from wssamnet.models.wssamnet import WSSAMNet
from wssamnet.preprocessing.prepared import PreparedCase
from wssamnet.preprocessing.seen import seen_at


class Network:
    """A registration network from a model folder, on the GPU where there is one.

    Args:
        folder: what the training left.
        kind: "wssamnet" or "voxelmorph".
        three_devices: a GPU for each of WSSAMNet's three U-Nets; see `Placement.three`.

    Raises:
        ModelError: there is no such model, it is damaged or of another kind.
        SettingsError: three GPUs are wanted, and there are one or two.
    """

    def __init__(
        self, folder: str | Path, kind: Literal["wssamnet", "voxelmorph"], *, three_devices: bool = False
    ) -> None:
        folder = Path(folder)
        _, settings, _ = read_description(folder)
        one = torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
        placement = Placement.three() if three_devices else Placement.one(one)
        model = load_model(folder, kind)
        self.module: nn.Module = (
            placement.place(model) if isinstance(model, WSSAMNet) else model.to(placement.registration)
        )
        self.device = str(placement)
        self.modalities = settings.modalities
        self.spacing_mm = settings.network_spacing_mm
        self._folder = folder
        self._record: dict[str, Any] = {
            "model": {
                "kind": kind,
                "preset": settings.preset,
                "seed": settings.seed,
                "network_spacing_mm": settings.network_spacing_mm,
                "sha256": hashlib.sha256((folder / WEIGHTS).read_bytes()).hexdigest(),
            }
        }

    def record(self, case: PreparedCase) -> dict[str, Any]:
        """What ``run.json`` is told of the model, and of what about it does not suit the case."""
        seen = seen_at(case, self.spacing_mm).grid.spacing
        trained = other_voxels(self._folder, seen)
        if trained is None:
            return self._record
        here, there = (" x ".join(f"{edge:.3g}" for edge in one) for one in (seen, trained))
        line = (
            f"the network sees voxels of {here} mm and was trained on voxels of {there} mm (prepare the case with that "
            "spacing_mm, or train with a network_spacing_mm)"
        )
        return self._record | {"warnings": [line]}

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

    def predict(self, case: PreparedCase, *, rough: bool = False) -> NDArray[np.float32]:
        """Register one case, which the network sees at its own voxel size.

        Args:
            case: the prepared case.
            rough: for a field that is refined anyway; see `in_bfloat16`.

        Returns:
            (X, Y, Z, 3), displacement in voxels of ``case.grid``, ijk order, pull-back.

        Raises:
            ModelError: the case has other modalities than the model.
        """
        self.check(case)
        seen = seen_at(case, self.spacing_mm)
        displacement = predict(self.module, seen.array("fixed"), seen.array("moving"), rough=rough)
        if seen is case:
            return displacement
        return resize(displacement, positions(seen.grid, case.grid), seen.grid.spacing / case.grid.spacing)

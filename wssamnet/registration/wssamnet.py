"""WSSAMNet as a registrar."""

from __future__ import annotations

from pathlib import Path
from typing import cast

from wssamnet.models.predict import predict_wssamnet
from wssamnet.models.wssamnet import WSSAMNet
from wssamnet.preprocessing.prepared import PreparedCase
from wssamnet.registration.network import Network
from wssamnet.registration.protocol import Registration
from wssamnet.registration.voxels import registration_from_voxels


class WssamnetRegistrar:
    """One pass of a trained WSSAMNet over the prepared arrays.

    Args:
        folder: the model folder.
        three_devices: a GPU for each of the three U-Nets.

    Raises:
        ModelError: there is no wssamnet model in it.
    """

    name = "wssamnet"
    seed: int | None = None

    def __init__(self, folder: str | Path, *, three_devices: bool = False) -> None:
        self.network = Network(folder, "wssamnet", three_devices=three_devices)
        self.device = self.network.device

    def register(self, case: PreparedCase) -> Registration:
        """Predict the pull-back field and compose it with the pre-alignment."""
        self.network.check(case)
        model = cast(WSSAMNet, self.network.module)
        displacement = predict_wssamnet(model, case.array("fixed"), case.array("moving"))
        return registration_from_voxels(case, displacement, self.network.record)

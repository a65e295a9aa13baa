"""WSSAMNet as a registrar."""

from __future__ import annotations

from pathlib import Path

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
        return registration_from_voxels(case, self.network.predict(case), self.network.record(case))

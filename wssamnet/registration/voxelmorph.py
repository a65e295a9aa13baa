"""VoxelMorph as a registrar."""

from __future__ import annotations

from pathlib import Path

from wssamnet.preprocessing.prepared import PreparedCase
from wssamnet.registration.network import Network
from wssamnet.registration.protocol import Registration
from wssamnet.registration.voxels import registration_from_voxels


class VoxelMorphRegistrar:
    """One pass of a trained VoxelMorph over the prepared arrays.

    Args:
        folder: the model folder.

    Raises:
        ModelError: there is no voxelmorph model in it.
    """

    name = "voxelmorph"
    seed: int | None = None

    def __init__(self, folder: str | Path) -> None:
        self.network = Network(folder, "voxelmorph")
        self.device = self.network.device

    def register(self, case: PreparedCase) -> Registration:
        """Predict the pull-back field and compose it with the pre-alignment."""
        return registration_from_voxels(case, self.network.predict(case), self.network.record(case))

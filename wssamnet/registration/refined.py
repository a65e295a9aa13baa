"""Refinement as a registrar: alone, or after WSSAMNet has predicted where to start."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, cast

import numpy as np

from wssamnet.preprocessing.prepared import PreparedCase
from wssamnet.registration.protocol import Registration
from wssamnet.registration.refinement import SCHEDULES, Field, refine
from wssamnet.registration.voxels import registration_from_voxels


class RefinementRegistrar:
    """Instance optimisation from the case's pre-alignment.

    Args:
        schedule: "fast" (one direction) or "accurate" (both directions, averaged).
    """

    name = "refinement"
    seed: int | None = None
    device = "cpu"

    def __init__(self, schedule: Literal["fast", "accurate"]) -> None:
        self.schedule = schedule

    def start(self, case: PreparedCase) -> Field | None:
        """Where the optimisation starts: (X, Y, Z, 3) voxels of the working grid, or None for no displacement."""
        return None

    def register(self, case: PreparedCase) -> Registration:
        """Optimise the pull-back field and compose it with the pre-alignment."""
        fixed, moving = (np.asarray(case.array(side), dtype=np.float32) for side in ("fixed", "moving"))
        start = self.start(case)
        displacement = refine(fixed, moving, case.grid, start=start, schedule=SCHEDULES[self.schedule])
        return registration_from_voxels(case, displacement, {"refinement": self.schedule})


class RefinedWssamnetRegistrar(RefinementRegistrar):
    """WSSAMNet's field, refined on the pair itself.

    Args:
        folder: the model folder.
        schedule: as above.

    Raises:
        ModelError: there is no wssamnet model in it.
    """

    name = "wssamnet_refined"

    def __init__(self, folder: str | Path, schedule: Literal["fast", "accurate"]) -> None:
        from wssamnet.registration.network import Network

        super().__init__(schedule)
        self.network = Network(folder, "wssamnet")

    def start(self, case: PreparedCase) -> Field:
        """What the network predicts."""
        from wssamnet.models.predict import predict_wssamnet
        from wssamnet.models.wssamnet import WSSAMNet

        self.network.check(case)
        return predict_wssamnet(cast(WSSAMNet, self.network.module), case.array("fixed"), case.array("moving"))

    def register(self, case: PreparedCase) -> Registration:
        """Predict, then optimise."""
        found = super().register(case)
        return Registration(found.pull_back, found.push_forward, {**found.record, **self.network.record})

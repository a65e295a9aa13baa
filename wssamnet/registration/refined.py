"""Refinement as a registrar: alone, or after WSSAMNet has predicted where to start."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
from scipy.ndimage import maximum_filter

from wssamnet.fields import AffineMap, resample
from wssamnet.geometry import Grid
from wssamnet.images import Volume
from wssamnet.preprocessing.prepared import PreparedCase
from wssamnet.preprocessing.regrid import index_map, widths
from wssamnet.registration.protocol import Registration
from wssamnet.registration.refinement import SCHEDULES, Field, Mask, refine
from wssamnet.registration.voxels import registration_from_voxels

Side = Literal["fixed", "moving"]
CUT = 0.005  # of the brain: about a millimetre of its width, which pulls nothing


def on_working_grid(lesion: Volume | None, grid: Grid, transform: AffineMap | None = None) -> Mask | None:
    """A lesion where a case is registered; what any part of it reaches is lesion.

    Args:
        lesion: bool, native grid; None for none.
        grid: the working grid.
        transform: pull-back from the working grid to the lesion's frame, where the two differ.
    """
    if lesion is None:
        return None
    # as far as a working voxel's image is an average of
    reach = 2 * np.floor(widths(lesion.grid, grid, transform) / 2).astype(int) + 1
    reached = maximum_filter(lesion.data.astype(np.float32), tuple(reach), mode="constant")
    share = resample(Volume(reached, lesion.grid), grid, transform)
    return np.asarray(share.data > 0)


def beyond_scan(case: PreparedCase, side: Side) -> Mask | None:
    """Where a scan was not taken, on the working grid; None where the other's brain loses at most `CUT`.

    Its zeros there are no image: matched with tissue, they would pull the field to the scan's edge.

    Args:
        case: the pair, pre-aligned.
        side: "fixed" or "moving".
    """
    native = case.native_grid(side)
    onto = index_map(native, case.grid, case.prealignment if side == "moving" else AffineMap())
    i, j, k = (axis.astype(np.float32) for axis in np.ogrid[tuple(map(slice, case.grid.shape))])
    outside = np.zeros(case.grid.shape, bool)
    for row, count in zip(onto[:3].astype(np.float32), native.shape, strict=True):
        place = row[0] * i + row[1] * j + row[2] * k + row[3]
        outside |= (place < -0.5) | (place > count - 0.5)
    other = case.array("moving_mask" if side == "fixed" else "fixed_mask")
    return outside if np.count_nonzero(outside & other) > CUT * np.count_nonzero(other) else None


def _either(first: Mask | None, second: Mask | None) -> Mask | None:
    if first is None or second is None:
        return second if first is None else first
    return np.asarray(first | second)


class RefinementRegistrar:
    """Instance optimisation from the case's pre-alignment.

    Args:
        schedule: "fast" (one direction) or "accurate" (both directions, averaged).
        fixed_lesion, moving_lesion: bool, native grids; where True, similarity is not asked for.
    """

    name = "refinement"
    seed: int | None = None
    device = "cpu"

    def __init__(
        self,
        schedule: Literal["fast", "accurate"],
        *,
        fixed_lesion: Volume | None = None,
        moving_lesion: Volume | None = None,
    ) -> None:
        self.schedule = schedule
        self.fixed_lesion, self.moving_lesion = fixed_lesion, moving_lesion

    def start(self, case: PreparedCase) -> Field | None:
        """Where the optimisation starts: (X, Y, Z, 3) voxels of the working grid, or None for no displacement."""
        return None

    def register(self, case: PreparedCase) -> Registration:
        """Optimise the pull-back field and compose it with the pre-alignment."""
        fixed, moving = (np.asarray(case.array(side), dtype=np.float32) for side in ("fixed", "moving"))
        start = self.start(case)
        lesions = (
            _either(on_working_grid(self.fixed_lesion, case.grid), beyond_scan(case, "fixed")),
            _either(on_working_grid(self.moving_lesion, case.grid, case.prealignment), beyond_scan(case, "moving")),
        )
        displacement = refine(fixed, moving, case.grid, start=start, schedule=SCHEDULES[self.schedule], lesions=lesions)
        return registration_from_voxels(case, displacement, {"refinement": self.schedule})


class RefinedWssamnetRegistrar(RefinementRegistrar):
    """WSSAMNet's field, refined on the pair itself.

    Args:
        folder: the model folder.
        schedule: as above.
        three_devices: a GPU for each of the network's U-Nets.

    Raises:
        ModelError: there is no wssamnet model in it.
    """

    name = "wssamnet_refined"

    def __init__(
        self, folder: str | Path, schedule: Literal["fast", "accurate"], *, three_devices: bool = False
    ) -> None:
        from wssamnet.registration.network import Network

        super().__init__(schedule)
        self.network = Network(folder, "wssamnet", three_devices=three_devices)
        # the network's, then the refinement's
        self.device = ", ".join(dict.fromkeys((self.network.device, self.device)))

    def start(self, case: PreparedCase) -> Field:
        """What the network predicts."""
        return self.network.predict(case, rough=True)

    def register(self, case: PreparedCase) -> Registration:
        """Predict, then optimise."""
        found = super().register(case)
        return Registration(found.pull_back, found.push_forward, {**found.record, **self.network.record(case)})

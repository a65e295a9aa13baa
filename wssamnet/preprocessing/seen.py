"""A prepared case as a learned network sees it: at the voxel size of its training, whatever the working grid's."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wssamnet.kernels.levels import shrink
from wssamnet.preprocessing.prepared import PreparedCase
from wssamnet.preprocessing.regrid import averaged

_SAME = 0.01  # relative difference of voxel sizes below which resampling gains nothing


@dataclass(frozen=True, eq=False)
class SeenCase(PreparedCase):
    """A prepared case whose grid and arrays have larger voxels; they are made on first use and kept in memory.

    As in the prepared case itself, images are averages over brain alone and 0 outside it. A voxel belongs to a mask
    or an ROI that fills more than half of it: what is large beside the voxels keeps its extent in mm, a cube of 9 mm
    some two thirds of its volume at 2 to 4 mm. Images and landmarks of the native grids, and the pre-alignment, are
    the case's own.

    Args:
        folder: where the prepared case lies.
        record: its record, with the coarser grid.
        prepared: the case at its working grid.
        hidden: as of that case.
    """

    prepared: PreparedCase
    _kept: dict[str, NDArray[Any]] = field(default_factory=dict, init=False, repr=False)

    def array(self, name: str) -> NDArray[Any]:
        """One of the arrays on the coarser grid, of the same type as on the working grid; not to be written to.

        Raises:
            ImageError: the file is missing or damaged.
        """
        if name == "landmarks":
            return self.prepared.array(name)  # mm, whatever the grid
        if name not in self._kept:
            side, _, kind = name.partition("_")
            if kind == "roi":
                self._kept[name] = self._shrunk(self.prepared.array(name)[None])[0] > 0.5
            else:
                images, mask = self.prepared.array(side), self.prepared.array(f"{side}_mask")
                found = averaged(self._shrunk(np.concatenate([images, mask[None]], dtype=np.float32)))
                self._kept[side], self._kept[f"{side}_mask"] = found
        return self._kept[name]

    def _shrunk(self, arrays: NDArray[Any]) -> NDArray[np.float32]:
        return shrink(arrays.astype(np.float32, copy=False), self.prepared.grid, self.grid)


def seen_at(case: PreparedCase, spacing_mm: float | None) -> PreparedCase:
    """A case at the voxel size at which a network sees it.

    Args:
        case: a prepared case.
        spacing_mm: isotropic voxel size; None for the working grid's.

    Returns:
        the case with voxels of that size over the same extent; the case itself where its own voxels are at least as
        large by volume. Slices thicker than that size, of voxels with less volume, are divided.
    """
    if spacing_mm is None or np.cbrt(case.grid.spacing.prod()) >= spacing_mm * (1 - _SAME):
        return case
    record = {**case.record, "grid": case.grid.resampled(spacing_mm).to_dict()}
    return SeenCase(case.folder, record, case, hidden=case.hidden)

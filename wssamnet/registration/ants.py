"""ANTs, through antspyx: an affine stage, then SyN, from the same start as every learned method.

ANTs sees the prepared arrays (working grid, brain box, intensities in [0, 1], pre-aligned), and
what it finds is composed with the pre-alignment, so nothing is interpolated twice.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wssamnet.errors import SettingsError
from wssamnet.fields import AffineMap, Chain, DisplacementField
from wssamnet.geometry import Grid
from wssamnet.images import read_displacement
from wssamnet.kernels.lncc import lncc_sum
from wssamnet.kernels.mutual_information import mutual_information_of
from wssamnet.preprocessing.prepared import PreparedCase
from wssamnet.registration.protocol import Registration, thread_count

_THREADS = "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"
_SEED = "ANTS_RANDOM_SEED"


@dataclass(frozen=True)
class Preset:
    """One way to run ``ants.registration(type_of_transform="SyN")``; its affine stage is antspyx's own.

    Args:
        metric: "mattes" (mutual information) or "CC" (local cross-correlation) of the SyN stage.
        sampling: bins of "mattes", radius in voxels of "CC".
        iterations: of the SyN stage, coarse to fine; each level halves the shrink factor, the
            last is full resolution.
        finest_mm: levels but the coarsest with smaller voxels than this are left out, so that the hours ANTs would
            spend at 1 mm are not spent unless asked for.
    """

    metric: str
    sampling: int
    iterations: tuple[int, ...]
    finest_mm: float

    def schedule(self, spacing_mm: float) -> tuple[int, ...]:
        """The iterations of each level on images of this voxel size."""
        levels = len(self.iterations)
        return tuple(
            count if level == 0 or spacing_mm * 2 ** (levels - 1 - level) >= self.finest_mm else 0
            for level, count in enumerate(self.iterations)
        )


PRESETS: dict[str, Preset] = {
    "fast": Preset("mattes", 32, (100, 70, 0), 3.0),
    "defaults": Preset("mattes", 32, (40, 20, 0), 0.0),
    "good": Preset("CC", 2, (100, 40, 15), 0.0),
    "strong": Preset("CC", 4, (100, 70, 50, 20), 0.0),
}


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """ANTs reads its seed from the environment at every run; antspyx offers no other way."""
    before = os.environ.get(_SEED)
    os.environ[_SEED] = str(seed)
    try:
        yield
    finally:
        if before is None:
            del os.environ[_SEED]
        else:
            os.environ[_SEED] = before


def affine_matrix(parameters: NDArray[Any], center: NDArray[Any]) -> NDArray[Any]:
    """ITK's affine as a matrix: ``y = A (x - c) + c + t``.

    Args:
        parameters: (12,), A row by row, then t, in LPS mm.
        center: (3,) c, the fixed parameters.

    Returns:
        (4, 4), LPS mm to LPS mm.
    """
    matrix = np.eye(4)
    linear = np.asarray(parameters[:9], dtype=np.float64).reshape(3, 3)
    matrix[:3, :3] = linear
    matrix[:3, 3] = np.asarray(parameters[9:12]) + center - linear @ center
    return matrix


def _similarity(preset: Preset, fixed: Any, moving: Any, mask: NDArray[np.bool_]) -> float:
    """The preset's own metric inside a mask: mean squared local correlation, or mutual information in nats.

    ANTs's own figure takes as long as a registration does.
    """
    a, b = (np.ascontiguousarray(image, dtype=np.float32) for image in (fixed, moving))
    if preset.metric == "CC":
        window = 2 * preset.sampling + 1
        return lncc_sum(a, b, mask, window=window, squared=True, epsilon=1e-8, flat=1e-5) / max(int(mask.sum()), 1)
    return mutual_information_of(a.ravel(), b.ravel(), mask.ravel(), bins=preset.sampling)


class AntsRegistrar:
    """SyN with a named preset.

    Repeatable with one thread only: ITK adds up its metric in the order in which threads end. The
    count is taken from ``ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS``; where that is not set, it is set
    here, before ANTs is loaded, to the count that the other methods use.

    Args:
        preset: a name of `PRESETS`.
        seed: of the random numbers; ``ANTS_RANDOM_SEED`` wins where it is set.

    Raises:
        SettingsError: there is no such preset.
    """

    name = "ants"
    device = "cpu"

    def __init__(self, preset: str = "good", *, seed: int = 0) -> None:
        if preset not in PRESETS:
            raise SettingsError(f"'{preset}' is not an ANTs preset", "ants_preset", f"one of {', '.join(PRESETS)}")
        self.preset = preset
        # ANTs takes 0 for "by the clock"
        self.seed: int | None = int(os.environ.get(_SEED) or seed + 1)
        os.environ.setdefault(_THREADS, str(thread_count()))
        import ants

        self._ants = ants

    def _image(self, array: NDArray[Any], grid: Grid) -> Any:
        return self._ants.from_numpy(
            np.ascontiguousarray(array, dtype=np.float32),
            origin=grid.origin.tolist(),
            spacing=grid.spacing.tolist(),
            direction=grid.direction,
        )

    def _affine(self, path: str) -> AffineMap:
        transform = self._ants.read_transform(path)
        return AffineMap(affine_matrix(np.asarray(transform.parameters), np.asarray(transform.fixed_parameters)))

    def register(self, case: PreparedCase) -> Registration:
        """Affine and SyN between the first modalities of the prepared case."""
        preset = PRESETS[self.preset]
        grid = case.grid
        schedule = preset.schedule(float(grid.spacing.min()))
        fixed = self._image(case.array("fixed")[0], grid)
        moving = self._image(case.array("moving")[0], grid)
        with tempfile.TemporaryDirectory(prefix="ants_") as folder, _seeded(self.seed or 1):
            found = self._ants.registration(
                fixed,
                moving,
                type_of_transform="SyN",
                initial_transform="Identity",
                outprefix=str(Path(folder) / "t_"),
                syn_metric=preset.metric,
                syn_sampling=preset.sampling,
                reg_iterations=schedule,
            )
            warp_file, affine_file = found["fwdtransforms"]
            affine = self._affine(affine_file)
            warp = DisplacementField(*read_displacement(warp_file), outside="zero")
            inverse_warp = DisplacementField(*read_displacement(found["invtransforms"][1]), outside="zero")
            warped = found["warpedmovout"].numpy()
        mask = case.array("fixed_mask")
        before, after = (_similarity(preset, fixed.numpy(), image, mask) for image in (moving.numpy(), warped))
        record = {
            "preset": self.preset,
            "ants": {
                **asdict(preset),
                "iterations": schedule,
                "transform": "Affine, SyN",
                "version": version("antspyx"),
            },
            "modality": case.record["modalities"][0],
            "threads": int(os.environ[_THREADS]),
            "similarity": {"before": before, "after": after},  # by the preset's metric in the brain, higher is better
            "worse_than_start": after < before,
        }
        return Registration(
            Chain((warp, affine, case.prealignment)),
            Chain((case.prealignment.inverse(), affine.inverse(), inverse_warp)),
            record,
        )

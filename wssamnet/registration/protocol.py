"""The one seam: every method is a registrar, and every registrar leaves the same files.

``<out>/<method>/<case>/``

    warped.nii.gz            moving image (first modality) on the native fixed grid
    fixed_to_moving.nii.gz   pull-back displacement, native fixed grid, LPS mm: warps the moving image
    moving_to_fixed.nii.gz   push-forward displacement, native moving grid, LPS mm: warps the fixed image
    landmarks.csv            moving landmarks in fixed space, LPS mm (where the case has any)
    run.json                 method, case, seconds by part, device, threads, versions, seed, settings
"""

from __future__ import annotations

import functools
import os
import platform
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from wssamnet.errors import GeometryError
from wssamnet.fields import DisplacementField, Transform, as_displacement, resample
from wssamnet.files import folder_atomically, write_json
from wssamnet.geometry import Array, Grid
from wssamnet.images import Volume, write_displacement, write_image
from wssamnet.landmarks import Landmarks, write_landmarks
from wssamnet.preprocessing.prepared import PreparedCase

# a landmark that comes back further from its place than this has no inverse there (a fold); ANTs's own
# inverse fields leave up to 0.1 mm on voxels of 3 mm
ROUND_TRIP_MM = 0.25


@dataclass(frozen=True, eq=False)
class Registration:
    """What a registrar returns.

    Args:
        pull_back: fixed points to moving points, LPS mm.
        push_forward: moving points to fixed points, LPS mm; its inverse.
        landmarks: the case's moving landmarks in fixed space, where the method itself gives them; else mapped.
        record: whatever else belongs into ``run.json`` (preset, metric, points not converged).
    """

    pull_back: Transform
    push_forward: Transform
    record: dict[str, Any] = field(default_factory=dict)
    landmarks: Landmarks | None = None


class Registrar(Protocol):
    """A registration method. Construction loads models; `register` is what is timed.

    Attributes:
        name: folder and column name of the method.
        seed: recorded in ``run.json``; None where nothing is random.
        device: "cpu", "cuda:0", …
    """

    name: str
    seed: int | None
    device: str

    def register(self, case: PreparedCase) -> Registration:
        """Register one prepared case."""
        ...


@functools.cache
def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in ("wssamnet", "torch", "antspyx", "voxelmorph", "numpy", "nibabel"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def thread_count() -> int:
    """Threads that the numeric libraries were told to use, else the cores of this process."""
    told = os.environ.get("OMP_NUM_THREADS")
    return int(told) if told and told.isdigit() else len(os.sched_getaffinity(0))


def _finite(transform: Transform, grid: Grid, registrar: Registrar, case: PreparedCase) -> DisplacementField:
    sampled = as_displacement(transform, grid)
    if not np.isfinite(sampled.displacement.sum()):  # one NaN or infinite number is enough
        raise GeometryError(f"{registrar.name} gave a displacement that is not finite", case.id)
    return sampled


def _round_trip(result: Registration, moving: Array, mapped: Array) -> dict[str, float | int]:
    """How well the two directions undo each other at the landmarks: |pull_back(push_forward(p)) - p|."""
    gap = np.linalg.norm(result.pull_back(mapped) - moving, axis=1)
    return {
        "median_mm": round(float(np.median(gap)), 5),
        "max_mm": round(float(gap.max()), 5),
        "not_inverted": int((gap > ROUND_TRIP_MM).sum()),
    }


@dataclass(frozen=True, eq=False)
class Loaded:
    """A prepared case in memory: `register` and `write` need nothing from the disk."""

    case: PreparedCase
    moving: Volume
    fixed_grid: Grid
    moving_grid: Grid
    landmarks: Landmarks | None
    seconds: float


def load(case: PreparedCase) -> Loaded:
    """Read what a registration and its files need.

    Raises:
        ImageError, GeometryError: an image of the case cannot be read.
    """
    begin = time.perf_counter()
    for name in ("fixed", "moving", "fixed_mask", "moving_mask"):
        case.array(name).view(np.uint8).max()  # pages the memory map in: reading is not timed as registering
    content = case.image("moving"), case.native_grid("fixed"), case.native_grid("moving"), case.moving_landmarks()
    return Loaded(case, *content, time.perf_counter() - begin)


def write(
    registrar: Registrar, loaded: Loaded, result: Registration, seconds: float, out: str | Path, **record: Any
) -> Path:
    """Write one case's files; the folder appears whole or not at all.

    Args:
        registrar: the method.
        loaded: the case.
        result: what the method returned.
        seconds: that it took.
        out: the root; files go to ``out/<method>/<case>``, in place of an earlier run's.
        record: for ``run.json``; `start_up` joins the seconds.

    Returns:
        the case's folder.

    Raises:
        GeometryError: the method's displacement is not finite.
        LandmarkError: the method gives landmarks itself, and not all.
    """
    begin = time.perf_counter()
    case, landmarks = loaded.case, loaded.landmarks
    out = Path(out)
    with (
        folder_atomically(out / registrar.name / case.id) as folder,
        ThreadPoolExecutor(1, thread_name_prefix="wssamnet-write") as beside,  # compresses while the next is computed
    ):
        forward = _finite(result.pull_back, loaded.fixed_grid, registrar, case)
        writing = [
            beside.submit(
                write_displacement, folder / "fixed_to_moving.nii.gz", forward.displacement, loaded.fixed_grid
            )
        ]
        warped = resample(loaded.moving, loaded.fixed_grid, forward)
        writing.append(beside.submit(write_image, folder / "warped.nii.gz", warped))
        backward = _finite(result.push_forward, loaded.moving_grid, registrar, case)
        write_displacement(folder / "moving_to_fixed.nii.gz", backward.displacement, loaded.moving_grid)
        for file in writing:
            file.result()
        round_trip = None
        if landmarks is not None:
            if result.landmarks is not None:
                mapped = result.landmarks.select(landmarks.ids).points
            else:
                mapped = result.push_forward(landmarks.points)
            write_landmarks(folder / "landmarks.csv", Landmarks(landmarks.ids, mapped))
            round_trip = _round_trip(result, landmarks.points, mapped)
        parts = {
            "start_up": record.pop("start_up", 0.0),
            "load": loaded.seconds,
            "register": seconds,
            "write": time.perf_counter() - begin,
        }
        content = {
            "method": registrar.name,
            "case": case.id,
            "seconds": {name: round(value, 4) for name, value in parts.items()},
            "device": registrar.device,
            "threads": thread_count(),
            "seed": registrar.seed,
            "versions": _versions(),
            "prealigned_by": case.record.get("prealigned_by"),
            "landmark_round_trip": round_trip,
            **record,
            **result.record,
        }
        write_json(folder / "run.json", content)
    return out / registrar.name / case.id


def timed(registrar: Registrar, loaded: Loaded) -> tuple[Registration, float]:
    """Register, and the seconds that it took."""
    begin = time.perf_counter()
    result = registrar.register(loaded.case)
    return result, time.perf_counter() - begin


def run(
    registrar: Registrar, case: PreparedCase, out: str | Path, *, start_up: float = 0.0, cases_in_task: int = 1
) -> Path:
    """Register one case and write its files; the folder appears whole or not at all.

    Args:
        registrar: the method.
        case: the prepared case.
        out: the root; files go to ``out/<method>/<case>``, in place of an earlier run's.
        start_up: seconds that imports and model loading took, for the record.
        cases_in_task: how many cases share that start-up, for the record.

    Returns:
        the case's folder.

    Raises:
        GeometryError, LandmarkError: see `write`.
    """
    loaded = load(case)
    result, seconds = timed(registrar, loaded)
    return write(
        registrar, loaded, result, seconds, out, start_up=start_up, cases_in_task=cases_in_task, overlapped=False
    )

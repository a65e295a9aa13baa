"""The one seam: every method is a registrar, and every registrar leaves the same files.

``<out>/<method>/<case>/``

    warped.nii.gz            moving image (first modality) on the native fixed grid
    fixed_to_moving.nii.gz   pull-back displacement, native fixed grid, LPS mm: warps the moving image
    moving_to_fixed.nii.gz   push-forward displacement, native moving grid, LPS mm: warps the fixed image
    landmarks.csv            moving landmarks in fixed space, LPS mm (where the case has any)
    run.json                 method, case, seconds by part, device, threads, versions, seed, settings
"""

from __future__ import annotations

import os
import platform
import shutil
import time
import uuid
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from wssamnet.fields import Transform, as_displacement, resample
from wssamnet.files import write_json
from wssamnet.images import Volume, write_displacement, write_image
from wssamnet.landmarks import Landmarks, write_landmarks
from wssamnet.preprocessing.prepared import PreparedCase


@dataclass(frozen=True, eq=False)
class Registration:
    """What a registrar returns.

    Args:
        pull_back: fixed points to moving points, LPS mm.
        push_forward: moving points to fixed points, LPS mm; its inverse.
        record: whatever else belongs into ``run.json`` (preset, metric, points not converged).
    """

    pull_back: Transform
    push_forward: Transform
    record: dict[str, Any] = field(default_factory=dict)


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


def run(registrar: Registrar, case: PreparedCase, out: str | Path, *, start_up: float = 0.0) -> Path:
    """Register one case and write its files; the folder appears whole or not at all.

    Args:
        registrar: the method.
        case: the prepared case.
        out: the root; files go to ``out/<method>/<case>``.
        start_up: seconds that imports and model loading took, for the record.

    Returns:
        the case's folder.
    """
    clock = time.perf_counter
    begin = clock()
    for name in ("fixed", "moving", "fixed_mask", "moving_mask"):
        case.array(name).sum(dtype=np.float64)  # pages the memory map in: reading is not timed as registering
    moving, fixed_grid, moving_grid = case.image("moving"), case.native_grid("fixed"), case.native_grid("moving")
    landmarks = case.moving_landmarks()
    loaded = clock()
    result = registrar.register(case)
    registered = clock()

    target = Path(out) / registrar.name / case.id
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{uuid.uuid4().hex[:8]}.{case.id}")
    temporary.mkdir()
    try:
        forward = as_displacement(result.pull_back, fixed_grid)
        backward = as_displacement(result.push_forward, moving_grid)
        warped = resample(moving, fixed_grid, forward)
        write_image(temporary / "warped.nii.gz", Volume(warped.data, fixed_grid))
        write_displacement(temporary / "fixed_to_moving.nii.gz", forward.displacement, fixed_grid)
        write_displacement(temporary / "moving_to_fixed.nii.gz", backward.displacement, moving_grid)
        if landmarks is not None:
            mapped = result.push_forward(landmarks.points)
            write_landmarks(temporary / "landmarks.csv", Landmarks(landmarks.ids, mapped))
        record = {
            "method": registrar.name,
            "case": case.id,
            "seconds": {
                "start_up": round(start_up, 4),
                "load": round(loaded - begin, 4),
                "register": round(registered - loaded, 4),
                "write": round(clock() - registered, 4),
            },
            "device": registrar.device,
            "threads": thread_count(),
            "seed": registrar.seed,
            "versions": _versions(),
            "prealigned_by": case.record.get("prealigned_by"),
            **result.record,
        }
        write_json(temporary / "run.json", record)
        if target.exists():
            shutil.rmtree(target)
        temporary.rename(target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return target

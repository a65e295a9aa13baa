"""How much the refinement's error depends on its parameters: one changed at a time, the others as they are.

    python benchmarks/sensitivity.py COHORT PREPARED [--cases 4] [--out sensitivity.csv]

COHORT is a folder that `wssamnet check` reads, with landmarks of both scans; PREPARED what `wssamnet preprocess` made
of its cases. One direction (`fast`), one process. A row: the mean over the cases of the mean landmark error, the
largest of them, the mean over all landmarks within 5 mm of a lesion, the share of the brain that folds, and the
processor seconds of a case. Where the cohort has lesions, a row leaves their windows out; where the cases are prepared
with more than one modality, a row compares all of them, the others the first.
"""

from __future__ import annotations

import argparse
import csv
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from wssamnet.cohort.cases import Case
from wssamnet.cohort.layouts import read_cohort
from wssamnet.cohort.lesions import read_lesion
from wssamnet.evaluation.where import lesion_distance
from wssamnet.geometry import Array
from wssamnet.images import Volume
from wssamnet.kernels.jacobian import determinant
from wssamnet.landmarks import read_landmarks
from wssamnet.preprocessing.prepared import PreparedCase, load_prepared
from wssamnet.registration.refined import on_working_grid
from wssamnet.registration.refinement import Schedule, refine
from wssamnet.registration.voxels import registration_from_voxels

NEAR_MM = 5.0
NOW = Schedule()
VARIED: dict[str, list[Schedule]] = {
    "as it is": [NOW],
    "both_ways": [replace(NOW, both_ways=True)],
    "windows": [replace(NOW, windows=edges) for edges in ((3, 3, 3, 3), (3, 3, 5, 5), (5, 5, 5, 5), (7, 7, 7, 7))],
    "update_sigma": [replace(NOW, update_sigma=sigma) for sigma in (2.5, 3.0, 4.0, 4.5)],
    "field_sigma": [replace(NOW, field_sigma=sigma) for sigma in (0.35, 0.7, 1.0)],
    "step": [replace(NOW, step=size) for size in (0.25, 0.35, 0.7)],
    "floor": [replace(NOW, floor=share) for share in (0.0, 0.1, 1.0)],
    "iterations": [
        replace(NOW, iterations=tuple(max(round(n * share), 1) for n in NOW.iterations))
        for share in (0.5, 0.75, 1.5, 2)
    ],
    "levels_mm": [
        replace(NOW, levels_mm=NOW.levels_mm[kept], iterations=NOW.iterations[kept], windows=NOW.windows[kept])
        for kept in (slice(1, None), slice(None, -1))
    ],
}


@dataclass(frozen=True, eq=False)
class Judged:
    """One case and one variant: landmark errors and distances to the lesion, mm; share of folds; processor seconds."""

    errors: Array
    distances: Array
    folding: float
    seconds: float


def _lesion(scans: Case) -> Volume | None:
    """The fixed scan's lesion, where one is known."""
    return None if scans.lesion is None else read_lesion(scans.lesion, next(iter(scans.fixed.images.values())))


def judge(
    scans: Case, case: PreparedCase, schedule: Schedule, *, masked: bool = False, all_images: bool = False
) -> Judged:
    """Refine a case; `masked` leaves the lesion's windows out, `all_images` takes every modality."""
    channels = slice(None) if all_images else slice(1)
    images = [np.asarray(case.array(side)[channels], dtype=np.float32) for side in ("fixed", "moving")]
    lesion = _lesion(scans)
    mask = on_working_grid(lesion, case.grid) if masked else None
    began = time.process_time()
    displacement = refine(images[0], images[1], case.grid, schedule=schedule, lesions=(mask, None))
    seconds = time.process_time() - began
    there, here = (read_landmarks(scan.landmarks).points for scan in (scans.moving, scans.fixed) if scan.landmarks)
    found = registration_from_voxels(case, displacement, {}).push_forward(there)
    brain = np.asarray(case.array("fixed_mask")) > 0
    return Judged(
        np.linalg.norm(found - here, axis=1),
        np.full(len(here), np.nan) if lesion is None else lesion_distance(here, lesion),
        float((determinant(displacement, np.eye(3))[brain] <= 0).mean()),
        seconds,
    )


def figures(found: list[Judged]) -> tuple[str, ...]:
    """The numbers of a row."""
    means = np.array([one.errors.mean() for one in found])
    errors, distances = (np.concatenate([getattr(one, name) for one in found]) for name in ("errors", "distances"))
    near = errors[distances <= NEAR_MM]
    return (
        f"{means.mean():.3f}",
        f"{means.max():.3f}",
        f"{near.mean():.2f}" if len(near) else "",
        f"{np.mean([one.folding for one in found]):.1e}",
        f"{np.mean([one.seconds for one in found]):.1f}",
        str(len(found)),
    )


def main() -> None:
    """Print one row a variant, and write them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cohort", type=Path)
    parser.add_argument("prepared", type=Path)
    parser.add_argument("--cases", type=int, help="the first so many; all where not given")
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    pairs = [(case, load_prepared(asked.prepared / case.id)) for case in read_cohort(asked.cohort)[: asked.cases]]
    rows: list[tuple[str, ...]] = [
        ("parameter", "value", "mean_mm", "worst_case_mm", "near_mm", "folding", "cpu_s", "cases")
    ]

    def add(name: str, value: str, found: list[Judged]) -> None:
        rows.append((name, value, *figures(found)))
        print("  ".join(rows[-1]), flush=True)

    for name, schedules in VARIED.items():
        for schedule in schedules:
            value = "" if schedule is NOW else str(getattr(schedule, name))
            add(name, value, [judge(*pair, schedule) for pair in pairs])
    if any(scans.lesion for scans, _ in pairs):
        add("lesion", "left out", [judge(*pair, NOW, masked=True) for pair in pairs])
    modalities = pairs[0][1].record["modalities"]
    if len(modalities) > 1:
        add("modalities", "+".join(modalities), [judge(*pair, NOW, all_images=True) for pair in pairs])
    if asked.out:
        with asked.out.open("w", newline="", encoding="utf-8") as stream:
            csv.writer(stream).writerows(rows)


if __name__ == "__main__":
    main()

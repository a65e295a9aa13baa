"""How much the refinement's error depends on its parameters: one changed at a time, the others as they are.

    python benchmarks/sensitivity.py COHORT PREPARED [--cases 4] [--out sensitivity.csv]

COHORT is a folder that `wssamnet check` reads, with landmarks of both scans; PREPARED what `wssamnet preprocess` made
of its cases. One direction (`fast`), one process. A row: the mean over the cases of the mean landmark error, the
largest of them, the share of the brain that folds, and the processor seconds of a case.
"""

from __future__ import annotations

import argparse
import csv
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from wssamnet.cohort.cases import Case
from wssamnet.cohort.layouts import read_cohort
from wssamnet.kernels.jacobian import determinant
from wssamnet.landmarks import read_landmarks
from wssamnet.preprocessing.prepared import PreparedCase, load_prepared
from wssamnet.registration.refinement import Schedule, refine
from wssamnet.registration.voxels import registration_from_voxels

NOW = Schedule()
VARIED: dict[str, list[Schedule]] = {
    "as it is": [NOW],
    "window": [replace(NOW, window=edge) for edge in (3, 7, 9)],
    "update_sigma": [replace(NOW, update_sigma=sigma) for sigma in (2.5, 3.0, 4.0)],
    "field_sigma": [replace(NOW, field_sigma=sigma) for sigma in (0.35, 0.7, 1.0)],
    "step": [replace(NOW, step=size) for size in (0.25, 0.35, 0.7)],
    "iterations": [
        replace(NOW, iterations=tuple(max(round(n * share), 1) for n in NOW.iterations))
        for share in (0.5, 0.75, 1.5, 2)
    ],
    "levels_mm": [
        replace(NOW, levels_mm=NOW.levels_mm[1:], iterations=NOW.iterations[1:]),
        replace(NOW, levels_mm=NOW.levels_mm[:-1], iterations=NOW.iterations[:-1]),
    ],
}


def judge(case: PreparedCase, scans: Case, schedule: Schedule) -> tuple[float, float, float]:
    """Mean landmark error in mm, share of folds in the brain, processor seconds."""
    images = [np.asarray(case.array(side), dtype=np.float32) for side in ("fixed", "moving")]
    began = time.process_time()
    displacement = refine(images[0], images[1], case.grid, schedule=schedule)
    seconds = time.process_time() - began
    there, here = (read_landmarks(scan.landmarks).points for scan in (scans.moving, scans.fixed) if scan.landmarks)
    found = registration_from_voxels(case, displacement, {}).push_forward(there)
    error = np.linalg.norm(found - here, axis=1).mean()
    jacobian = determinant(displacement, np.eye(3))
    brain = np.asarray(case.array("fixed_mask")) > 0
    return float(error), float((jacobian[brain] <= 0).mean()), seconds


def main() -> None:
    """Print one row a variant, and write them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cohort", type=Path)
    parser.add_argument("prepared", type=Path)
    parser.add_argument("--cases", type=int, help="the first so many; all where not given")
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    cases = read_cohort(asked.cohort)[: asked.cases]
    rows = [("parameter", "value", "mean_mm", "worst_case_mm", "folding", "cpu_s", "cases")]
    for name, schedules in VARIED.items():
        for schedule in schedules:
            found = [judge(load_prepared(asked.prepared / case.id), case, schedule) for case in cases]
            errors, folds, seconds = np.array(found).T
            value = "" if schedule is NOW else str(getattr(schedule, name))
            figures = (f"{errors.mean():.3f}", f"{errors.max():.3f}", f"{folds.mean():.1e}", f"{seconds.mean():.1f}")
            rows.append((name, value, *figures, str(len(cases))))
            print("  ".join(rows[-1]), flush=True)
    if asked.out:
        with asked.out.open("w", newline="", encoding="utf-8") as stream:
            csv.writer(stream).writerows(rows)


if __name__ == "__main__":
    main()

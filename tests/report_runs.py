"""A small run with everything a report can meet: failures, two networks, odd names."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter
from wssamnet.cohort import Case, Scan
from wssamnet.evaluation import evaluate_case, write_tables
from wssamnet.fields import DisplacementField, resample
from wssamnet.geometry import Frame, Grid
from wssamnet.images import Volume, write_displacement, write_image
from wssamnet.landmarks import Landmarks, write_landmarks

CASES = ("007", "NA", "c-x")
METHODS = ("identity", "ants", "mine.co")


@dataclass(frozen=True)
class Run:
    """Folders of a finished run."""

    root: Path
    evaluation: Path
    tables: Path
    models: tuple[Path, ...]


def _register(folder: Path, method: str, case: str, moving: Volume, points: Landmarks, shift: float) -> None:
    """Moves everything by so many mm along LPS x; "mine.co" also takes 15 % more of the moving scan."""
    grid = moving.grid
    growth = 0.15 if method == "mine.co" else 0.0
    x = grid.convert(np.indices(grid.shape).reshape(3, -1).T, Frame.IJK, Frame.LPS)[:, 0].reshape(grid.shape)
    field = np.zeros((*grid.shape, 3), dtype=np.float32)
    field[..., 0] = shift + growth * (x - x.mean())
    warped = points.points.copy()
    warped[:, 0] = (warped[:, 0] - shift + growth * x.mean()) / (1 + growth)
    folder.mkdir(parents=True)
    write_displacement(folder / "fixed_to_moving.nii.gz", field, grid)
    write_image(folder / "warped.nii.gz", resample(moving, grid, DisplacementField(field, grid)))
    write_landmarks(folder / "landmarks.csv", Landmarks(points.ids, warped))
    record = {
        "method": method,
        "case": case,
        "seconds": {"start_up": 1.0, "load": 0.5, "register": 12.5, "write": 0.25},
        "device": "cpu",
        "threads": 2,
        "seed": 0,
        "preset": "good" if method == "ants" else None,
        "versions": {"python": "3.11", "numpy": "2.3"},
    }
    (folder / "run.json").write_text(json.dumps(record))


def _train(folder: Path, stage: str) -> Path:
    folder.mkdir(parents=True)
    rows = [f"{step},{3 / step},{2 / step},{1 / step}" for step in range(1, 31)]
    (folder / "losses.csv").write_text("\n".join(["step,total,lncc,smoothness", *rows]) + "\n")
    record = {"stage": stage, "steps": 30, "seconds": 4.5, "seed": 3, "cases": ["a"], "final_losses": {"total": 0.1}}
    (folder / "training.json").write_text(json.dumps(record))
    settings = {"preset": "paper", "registration_lr": 1e-4, "modalities": ["t1ce", "t2"]}
    (folder / "settings.json").write_text(json.dumps({"format": 1, "settings": settings}))
    return folder


def finish_run(root: Path) -> Run:
    """Three cases, the last with a lesion; three methods; one evaluation is missing, one lost a landmark."""
    grid = Grid((20, 24, 16), np.diag([-3.0, 3.0, 4.0, 1.0]))
    for number, name in enumerate(CASES):
        rng = np.random.default_rng(number)
        axes = np.stack(np.meshgrid(*[np.linspace(-1, 1, n) for n in grid.shape], indexing="ij"))
        mask = (axes**2).sum(axis=0) < 0.7
        texture = gaussian_filter(rng.normal(size=grid.shape), 1.5)
        data = np.asarray((600 + 3000 * texture).clip(50) * mask, dtype=np.int16)
        prepared = root / "prepared" / name
        prepared.mkdir(parents=True)
        write_image(prepared / "fixed.nii.gz", Volume(data, grid))
        write_image(prepared / "moving.nii.gz", Volume(np.roll(data, 1, axis=0), grid))
        write_image(prepared / "fixed_brain.nii.gz", Volume(mask.astype(np.uint8), grid))
        (prepared / "prepared.json").write_text(json.dumps({"id": name, "seconds": {"prealign": 2.5}}))
        inside = np.argwhere(mask)
        chosen = grid.convert(inside[rng.choice(len(inside), 7, replace=False)], Frame.IJK, Frame.LPS)
        ids = tuple(range(1, 8))
        fixed, moving = Landmarks(ids, chosen), Landmarks(ids, chosen + rng.normal([3, 0, 0], 1, size=(7, 3)))
        write_landmarks(prepared / "fixed.csv", fixed)
        write_landmarks(prepared / "moving.csv", moving)
        lesion = root / f"lesion_of_{name}.nii.gz" if name == "c-x" else None
        if lesion is not None:
            write_image(lesion, Volume((axes**2).sum(axis=0) < 0.02, grid))
        case = Case(name, Scan({}, prepared / "fixed.csv", None), Scan({}, prepared / "moving.csv", None), lesion)
        for method, shift in zip(METHODS, (0.0, 3.0, 2.0), strict=True):
            if (method, name) == ("mine.co", "NA"):
                continue
            folder = root / "registration" / method / name
            volume = Volume(np.roll(data, 1, axis=0), grid)
            _register(folder, method, name, volume, moving, shift)
            if (method, name) == ("ants", "007"):
                write_landmarks(folder / "landmarks.csv", moving.select(ids[:-1]))
            evaluate_case(folder, prepared, case, root / "evaluation")
    tables = write_tables([root / "evaluation"], root / "tables")
    models = (_train(root / "models" / "one", "registration"), _train(root / "models" / "two", "registration"))
    return Run(root, root / "evaluation", tables, models)

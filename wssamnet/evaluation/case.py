"""Judge one registration of one case, whatever method made it.

Read are the registration folder, the native fixed and moving images and the brain mask of the
prepared case, and the case's own landmark files and lesion: nothing of the method.

``<out>/<method>/<case>/``

    metrics.json    errors, robustness, regularity, time, and whatever is wrong or missing
    landmarks.csv   one row a landmark: positions and errors of all kinds, LPS mm; how far it is from the lesion
    planes.npz      three planes for pictures; see `planes`
    volumes.npz     small volumes for looking through the case; see `volumes`
    patches.npz     what surrounds the worst landmarks; see `patches`
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from wssamnet.cohort import Case
from wssamnet.cohort.lesions import read_lesion
from wssamnet.errors import GeometryError, ImageError, LandmarkError, WssamnetError
from wssamnet.evaluation.errors import KINDS, landmark_errors, per_axis
from wssamnet.evaluation.patches import cut_patches
from wssamnet.evaluation.planes import Marks, cut_planes
from wssamnet.evaluation.regularity import determinant_around, regularity
from wssamnet.evaluation.robustness import robustness
from wssamnet.evaluation.volumes import cut_volumes
from wssamnet.evaluation.where import DISTANCE, lesion_distance
from wssamnet.fields import DisplacementField
from wssamnet.files import FOLDER_NAME, folder_atomically, names_a_folder, write_json
from wssamnet.geometry import Grid
from wssamnet.images import Volume, read_displacement, read_image
from wssamnet.landmarks import read_landmarks

_AXES = ("x", "y", "z")


def _pair(case: Case, grids: tuple[Grid, Grid], registration: Path, problems: list[str]) -> Marks | None:
    """The landmarks that both scans have, and where the method put them (NaN where it did not)."""
    fixed, moving = case.fixed.read_landmarks(grids[0]), case.moving.read_landmarks(grids[1])
    if fixed is None or moving is None:
        return None
    ids = tuple(ident for ident in fixed.ids if ident in moving.ids)
    alone = sorted(set(fixed.ids) ^ set(moving.ids))
    if alone:
        problems.append(f"landmarks of one scan only, not judged: {_list(alone)}")
    if not ids:
        raise LandmarkError("shares no landmark id with the moving scan", case.fixed.landmarks, "ids that correspond")
    warped = np.full((len(ids), 3), np.nan)
    path = registration / "landmarks.csv"
    try:
        found = read_landmarks(path)
    except LandmarkError as error:
        problems.append(f"no warped landmarks: {path.name}: {error.what}")
    else:
        present = tuple(ident for ident in ids if ident in found.ids)
        warped[[ids.index(ident) for ident in present]] = found.select(present).points
        lost = [ident for ident in ids if ident not in present]
        if lost:
            problems.append(f"the method lost landmarks {_list(lost)}: the case's errors are not defined")
    return Marks(ids, fixed.select(ids).points, moving.select(ids).points, warped)


def _list(numbers: list[int]) -> str:
    return ", ".join(map(str, numbers[:12])) + (f" and {len(numbers) - 12} more" if len(numbers) > 12 else "")


def _summary(values: Any) -> dict[str, Any]:
    return {
        "median": np.median(values, axis=0).tolist(),
        "mean": np.mean(values, axis=0).tolist(),
        "max": np.max(values, axis=0).tolist(),
    }


def _errors(marks: Marks) -> dict[str, Any]:
    """Errors of a case by kind; ``final`` and ``robustness`` are None unless every landmark was warped."""
    complete = bool(np.isfinite(marks.warped).all())
    out: dict[str, Any] = {}
    for kind in KINDS:
        initial, final = (landmark_errors(points, marks.fixed, kind) for points in (marks.moving, marks.warped))
        out[kind] = {
            "initial": _summary(initial),
            "final": _summary(final) if complete else None,
            "robustness": asdict(robustness(initial, final)) if complete else None,
        }
    out["per_axis"] = {
        "initial": _summary(per_axis(marks.moving, marks.fixed)),
        "final": _summary(per_axis(marks.warped, marks.fixed)) if complete else None,
    }
    return out


def landmark_table(marks: Marks, lesion: Volume | None) -> pd.DataFrame:
    """One row a landmark: id, positions (LPS mm), and errors before (``initial_…``) and after, mm.

    `DISTANCE` is that of the fixed landmark from the lesion, mm; NaN where no lesion is known.
    """
    columns: dict[str, Any] = {"landmark": marks.ids}
    for name, points in (("fixed", marks.fixed), ("moving", marks.moving), ("warped", marks.warped)):
        columns |= {f"{name}_{axis}": points[:, index] for index, axis in enumerate(_AXES)}
    for name, points in (("initial_", marks.moving), ("", marks.warped)):
        columns |= {f"{name}{kind}": landmark_errors(points, marks.fixed, kind) for kind in KINDS}
        axes = per_axis(points, marks.fixed)
        columns |= {f"{name}error_{axis}": axes[:, index] for index, axis in enumerate(_AXES)}
    columns[DISTANCE] = np.nan if lesion is None else lesion_distance(marks.fixed, lesion)
    return pd.DataFrame(columns)


def _on(grid: Grid, volume: Volume, path: Path) -> Volume:
    if not volume.grid.matches(grid):
        raise GeometryError("does not lie on the fixed scan's grid", path, "native fixed grid")
    return volume


def _read_record(path: Path, lost: str, problems: list[str]) -> dict[str, Any]:
    """A JSON record; a missing or damaged one is a problem, since `lost` is then unknown."""
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        problems.append(f"{path.name} cannot be read: {lost} unknown")
        return {}


def _description(grid: Grid) -> dict[str, Any]:
    return {"shape": list(grid.shape), "spacing": np.round(grid.spacing, 3).tolist()}


def evaluated_as(registration: Path, run: dict[str, Any] | None = None) -> str:
    """The method that a registration folder is evaluated as: its ``run.json`` says it, else the folder above it."""
    run = _read_record(registration / "run.json", "", []) if run is None else run
    return str(run.get("method") or registration.resolve().parent.name)


def evaluate_case(registration: Path, prepared: Path, case: Case, out: Path) -> Path:
    """Evaluate one registration; the folder appears whole or not at all.

    A method's own failings (a lost landmark, a field that is missing or not finite) are recorded in
    ``metrics.json`` as problems, with the figures they spoil left empty. Faults of the cohort or of
    the prepared case are raised.

    Args:
        registration: ``<method>/<case>``, as the registrar protocol documents it.
        prepared: the prepared case's folder.
        case: the case with its landmark files, and its lesion if one is known.
        out: the root.

    Returns:
        ``<out>/<method>/<case>``.

    Raises:
        WssamnetError: there is no such registration, or the landmarks, the native images, the
            brain mask or the lesion cannot be read.
    """
    registration, prepared = Path(registration), Path(prepared)
    if not registration.is_dir():
        raise WssamnetError("there is no such registration folder", registration, "made by `wssamnet register-cases`")
    problems: list[str] = []
    run = _read_record(registration / "run.json", "time, device and versions are", problems)
    method = evaluated_as(registration, run)
    if str(run.get("case") or case.id) != case.id:
        raise WssamnetError(f"holds case {run['case']}, not {case.id}", registration, "the matching case file")
    if not names_a_folder(method):
        raise WssamnetError(f"gives a method '{method[:120]}' that cannot name a folder", registration, FOLDER_NAME)
    fixed, moving = read_image(prepared / "fixed.nii.gz"), read_image(prepared / "moving.nii.gz")
    mask_path = prepared / "fixed_brain.nii.gz"
    marks = _pair(case, (fixed.grid, moving.grid), registration, problems)
    brain = _on(fixed.grid, read_image(mask_path, dtype=np.uint8), mask_path)
    mask = brain.data > 0
    lesion = None if case.lesion is None else read_lesion(case.lesion, prepared / "fixed.nii.gz")

    pictures: dict[str, dict[str, Any]] = {}
    warped: Volume | None = None
    regular = None
    # another tool's landmarks without a transform: errors are all that there is to judge
    alone = bool(run.get("landmarks_alone"))
    try:
        if not alone:
            warped_path, field_path = registration / "warped.nii.gz", registration / "fixed_to_moving.nii.gz"
            displacement, grid = read_displacement(field_path)
            if not grid.matches(fixed.grid):
                raise GeometryError("does not lie on the fixed scan's grid", field_path, "native fixed grid")
            field = DisplacementField(displacement, fixed.grid)
            determinant = determinant_around(field, mask)
            regular = regularity(determinant, mask)
            warped = _on(fixed.grid, read_image(warped_path), warped_path)
            inside = Volume(mask, fixed.grid)
            pictures["planes"] = cut_planes(fixed, moving, warped, inside, field, determinant, marks)
            pictures["volumes"] = cut_volumes(fixed, moving, warped, inside, field, determinant)
    except (ImageError, GeometryError) as error:
        problems.append(f"{Path(error.where).name}: {error.what}" if error.where else error.what)
    if marks is not None and (patches := cut_patches(fixed, moving, warped, marks)):
        pictures["patches"] = patches

    preparation = _read_record(prepared / "prepared.json", "the time of the pre-alignment is", problems)
    metrics = {
        "method": method,
        "case": case.id,
        "landmarks": None if marks is None else len(marks.ids),
        "errors": None if marks is None else _errors(marks),
        "regularity": None if regular is None else asdict(regular),
        "problems": problems,
        "grids": {side: _description(scan.grid) for side, scan in (("fixed", fixed), ("moving", moving))},
        "preparation": {name: preparation.get(name) for name in ("prealigned_by", "seconds")},
        "run": run,
    }
    target = Path(out) / method / case.id
    with folder_atomically(target) as temporary:
        write_json(temporary / "metrics.json", metrics)
        if marks is not None:
            landmark_table(marks, lesion).to_csv(temporary / "landmarks.csv", index=False, float_format="%.4f")
        for name, arrays in pictures.items():
            np.savez_compressed(temporary / f"{name}.npz", allow_pickle=False, **arrays)
    return target

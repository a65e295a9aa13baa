"""A cohort that this project's simulator did not make: SimpleITK's transforms, a samplesheet, oblique 4 mm grids."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from nextflow_calls import Pipeline
from nilearn.datasets import load_mni152_template

pytestmark = [pytest.mark.pipeline, pytest.mark.timeout(700)]

CASES = ("Anna", "Bert", "Cora")
TURNS = ((0.3, -0.2, 0.5), (-0.1, 0.4, 3.0), (0.0, 0.0, 0.0))  # of the scanner's axes, radians


def _template() -> sitk.Image:
    """The MNI152 brain in LPS."""
    nifti = load_mni152_template(resolution=2)
    image = sitk.GetImageFromArray(np.transpose(nifti.get_fdata(), (2, 1, 0)).astype(np.float32) * 1000)
    affine = np.diag([-1, -1, 1, 1]) @ nifti.affine
    image.SetSpacing([2.0, 2.0, 2.0])
    image.SetDirection((affine[:3, :3] / 2).ravel().tolist())
    image.SetOrigin(affine[:3, 3].tolist())
    return image


def _grid(turn: tuple[float, float, float]) -> sitk.Image:
    """An empty oblique image around the brain, 4 x 4 x 5 mm."""
    rotation = sitk.Euler3DTransform((0.0, 0.0, 0.0), *turn)
    direction = np.array(rotation.GetMatrix()).reshape(3, 3)
    size, spacing = (54, 60, 46), np.array([4.0, 4.0, 5.0])
    origin = np.array([0.0, 20, 5]) - direction @ (spacing * (np.array(size) - 1) / 2)
    image = sitk.Image(size, sitk.sitkFloat32)
    image.SetSpacing(spacing.tolist())
    image.SetDirection(direction.ravel().tolist())
    image.SetOrigin(origin.tolist())
    return image


def _deformation(template: sitk.Image, rng: np.random.Generator) -> sitk.Transform:
    """B-spline of 12 mm at most, after a turn of some degrees: fixed points to moving points."""
    spline = sitk.BSplineTransformInitializer(template, [5, 5, 5])
    spline.SetParameters(rng.uniform(-12, 12, len(spline.GetParameters())).tolist())
    rigid = sitk.Euler3DTransform((0.0, 20.0, 5.0), *rng.uniform(-0.08, 0.08, 3), rng.uniform(-4, 4, 3).tolist())
    return sitk.CompositeTransform([rigid, spline])


def _points(path: Path, points: np.ndarray) -> None:
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(("Landmark", "X", "Y", "Z"))
        writer.writerows((number, *point) for number, point in enumerate(points.round(3).tolist(), start=1))


def _cohort(folder: Path) -> Path:
    """Three cases and their samplesheet."""
    template = _template()
    rows = []
    for number, (case, turn) in enumerate(zip(CASES, TURNS, strict=True)):
        rng = np.random.default_rng(number)
        there = _deformation(template, rng)
        here = folder / "scans" / case
        here.mkdir(parents=True)
        moving = sitk.Resample(template, _grid((0.1, 0.0, -0.2)), sitk.Transform(), sitk.sitkLinear)
        fixed = sitk.Resample(template, _grid(turn), there, sitk.sitkLinear)
        sitk.WriteImage(sitk.Cast(sitk.Sqrt(fixed) * 20, sitk.sitkInt16), str(here / "before surgery.nii.gz"))
        sitk.WriteImage(sitk.Cast(moving, sitk.sitkInt16), str(here / "after.nii.gz"))
        fixed_points = np.array([0.0, 20, 5]) + rng.uniform(-40, 40, (12, 3))
        moving_points = np.array([there.TransformPoint(point) for point in fixed_points.tolist()])
        _points(here / "before.csv", fixed_points)
        _points(here / "after.csv", moving_points)
        names = ("before surgery.nii.gz", "after.nii.gz", "before.csv", "after.csv")
        rows.append((case, *(f"scans/{case}/{name}" for name in names)))
    sheet = folder / "samplesheet.csv"
    with sheet.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(("case", "fixed_t1", "moving_t1", "fixed_landmarks", "moving_landmarks"))
        writer.writerows(rows)
    return sheet


def test_a_samplesheet_goes_through(pipeline: Pipeline, tmp_path: Path) -> None:
    sheet = _cohort(tmp_path / "my cohort")
    steps = [word for name in ("segmentation", "pretraining", "registration") for word in (f"--{name}_steps", 2)]
    answer = pipeline.run(
        *("--input", sheet, "--outdir", "out", "--modalities", "t1", "--test_cases", "Anna,Bert"),
        *("--methods", "identity,affine,ants,refinement,wssamnet", "--ants_preset", "fast,defaults"),
        *("--preset", "best"),
        *("--cases_per_task", 2, "--max_cpus", 1, *steps),
        seconds=600,
    )
    assert answer.status == 0, answer.output
    with (pipeline.folder / "out" / "tables" / "per_case.csv").open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    error = {(row["method"], row["case"]): float(row["mean"]) for row in rows}
    assert {case for _, case in error} == {"Anna", "Bert"}
    methods = ("identity", "affine", "ants.defaults", "ants.fast", "wssamnet", "refinement")
    assert tuple(dict.fromkeys(method for method, _ in error)) == methods
    for case in ("Anna", "Bert"):
        before = error["identity", case]
        assert before > 4
        assert error["affine", case] < before
        assert error["ants.fast", case] < before
        assert error["ants.defaults", case] < before
        assert error["refinement", case] < 0.5 * before
        assert np.isfinite(error["wssamnet", case])
        for method in methods:  # ANTs' presets are methods, of which everything is kept, not variants
            assert (pipeline.folder / "out" / "registration" / method / case / "run.json").is_file()

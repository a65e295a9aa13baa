"""The written cohort: layout, header, landmarks against the truth, same seed same bytes."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from wssamnet.errors import SettingsError, WssamnetError
from wssamnet.fields import DisplacementField, jacobian_determinant, resample
from wssamnet.geometry import Frame
from wssamnet.images import read_displacement, read_image
from wssamnet.landmarks import Landmarks, read_landmarks
from wssamnet.simulation import write_cohort
from wssamnet.simulation.patient import random_patient
from wssamnet.simulation.rendering import lattice

SPACING = 4.0
MODALITIES = ("t1", "t1ce", "t2", "flair")


def digests(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_cohort(tmp_path_factory.mktemp("cohort"), cases=2, spacing_mm=SPACING, seed=7)


def scan(cohort: Path, case: str, time_point: int, modality: str) -> Path:
    return next((cohort / case).glob(f"{case}_{time_point:02d}_*_{modality}.nii.gz"))


def pair(cohort: Path, case: str) -> tuple[Landmarks, Landmarks]:
    fixed, moving = (next((cohort / case).glob(f"*_{t:02d}_*_landmarks.csv")) for t in (0, 1))
    return read_landmarks(fixed), read_landmarks(moving)


def test_folders_and_names_are_the_challenges(cohort: Path) -> None:
    assert sorted(p.name for p in cohort.iterdir()) == ["BraTSReg_001", "BraTSReg_002", "truth"]
    names = sorted(p.name for p in (cohort / "BraTSReg_001").iterdir())
    days = re.search(r"_01_(\d{4})_", names[-1])
    assert days is not None
    assert int(days[1]) > 0
    stems = ("BraTSReg_001_00_0000", f"BraTSReg_001_01_{days[1]}")
    wanted = [f"{s}_{m}.nii.gz" for s in stems for m in MODALITIES] + [f"{s}_landmarks.csv" for s in stems]
    assert names == sorted(wanted)
    text = (cohort / "BraTSReg_001" / f"{stems[0]}_landmarks.csv").read_text()
    assert text.startswith("Landmark,X,Y,Z\n1,")


def test_header_is_the_challenges(cohort: Path) -> None:
    image = nib.load(scan(cohort, "BraTSReg_001", 1, "t2"))
    assert image.get_data_dtype() == np.int16
    assert (int(image.header["qform_code"]), int(image.header["sform_code"])) == (0, 1)
    assert image.shape == (60, 60, 39)
    # outer faces of the challenge's first voxels: RAS x +0.5, y 239.5, z -0.5
    np.testing.assert_allclose(image.affine[:3, :3], np.diag([-SPACING, -SPACING, SPACING]))
    np.testing.assert_allclose(image.affine[:2, 3], [0.5 - SPACING / 2, 239.5 - SPACING / 2])


def test_scans_are_skull_stripped_and_differ_by_modality(cohort: Path) -> None:
    images = [read_image(scan(cohort, "BraTSReg_001", 0, m)).data for m in MODALITIES]
    brain = images[0] > 0
    assert 0.9e6 < brain.sum() * SPACING**3 < 2.1e6  # mm³ of a head's brain
    for image in images[1:]:
        np.testing.assert_array_equal(image > 0, brain)
    correlation = np.corrcoef([image[brain] for image in images])
    assert correlation[0, 2] < 0  # fluid is dark on T1 and bright on T2
    assert np.abs(correlation[np.triu_indices(4, 1)]).max() < 0.98


@pytest.mark.parametrize("case", ["BraTSReg_001", "BraTSReg_002"])
def test_landmarks_agree_with_the_truth(cohort: Path, case: str) -> None:
    fixed, moving = pair(cohort, case)
    assert fixed.ids == moving.ids == tuple(range(1, len(fixed) + 1))
    assert 6 <= len(fixed) <= 50
    truth = DisplacementField(*read_displacement(cohort / "truth" / f"{case}_fixed_to_moving.nii.gz"))
    gap = np.linalg.norm(truth(fixed.points) - moving.points, axis=1)
    # the field is read between voxels of 4 mm and both points are rounded to 0.1 mm
    assert np.median(gap) < 0.2
    assert gap.max() < 0.8
    assert np.linalg.norm(fixed.points - moving.points, axis=1).mean() > 3 * np.median(gap)


@pytest.mark.parametrize("case", ["BraTSReg_001", "BraTSReg_002"])
def test_landmarks_lie_in_both_brains(cohort: Path, case: str) -> None:
    for time_point, points in enumerate(pair(cohort, case)):
        image = read_image(scan(cohort, case, time_point, "t1"))
        i, j, k = np.rint(image.grid.convert(points.points, Frame.LPS, Frame.IJK)).astype(int).T
        assert (image.data[i, j, k] > 0).all()


def test_truth_does_not_fold_away_from_the_tumour(cohort: Path) -> None:
    for number in (1, 2):
        patient = random_patient(7, number)
        truth = DisplacementField(*read_displacement(cohort / "truth" / f"{patient.name}_fixed_to_moving.nii.gz"))
        brain = (read_image(scan(cohort, patient.name, 0, "t1")).data > 0).ravel()
        distance, _ = patient.lesion.distance(lattice(truth.grid), followup=False)
        jacobian = jacobian_determinant(truth).ravel()[brain & (distance > 4)]
        assert jacobian.min() > 0
        assert jacobian.std() > 0.03  # volumes do change


def test_truth_aligns_the_scans(cohort: Path) -> None:
    fixed, moving = (read_image(scan(cohort, "BraTSReg_001", t, "t1")) for t in (0, 1))
    truth = DisplacementField(*read_displacement(cohort / "truth" / "BraTSReg_001_fixed_to_moving.nii.gz"))
    brain = fixed.data > 0
    before = np.corrcoef(fixed.data[brain], moving.data[brain])[0, 1]
    after = np.corrcoef(fixed.data[brain], resample(moving, fixed.grid, truth).data[brain])[0, 1]
    assert after > before + 0.1


@pytest.mark.parametrize("case", ["BraTSReg_001", "BraTSReg_002"])
def test_the_lesion_is_where_the_tumour_is_seen(cohort: Path, case: str) -> None:
    lesion, plain, contrast = (
        read_image(path)
        for path in (
            cohort / "truth" / f"{case}_lesion.nii.gz",
            *(scan(cohort, case, 0, modality) for modality in ("t1", "t1ce")),
        )
    )
    assert lesion.grid.matches(plain.grid)
    assert set(np.unique(lesion.data)) == {0, 1}
    inside, brain = lesion.data > 0, plain.data > 0
    assert not (inside & ~brain).any()
    assert 3 < inside.sum() * SPACING**3 / 1000 < 150  # ml
    # it takes up contrast, as no healthy tissue does
    uptake = contrast.data / np.maximum(plain.data, 1)
    assert uptake[inside].mean() > 1.1 * uptake[brain & ~inside].mean()
    # landmarks are chosen outside of it; its voxels are of 4 mm
    ijk = np.rint(lesion.grid.convert(pair(cohort, case)[0].points, Frame.LPS, Frame.IJK)).astype(int)
    assert not inside[tuple(ijk.T)].any()


def test_a_case_depends_on_seed_and_number_alone(cohort: Path, tmp_path: Path) -> None:
    """Case 2 made alone, in another process, with two threads: the same bytes."""
    code = (
        "import sys, pathlib, wssamnet.simulation as s;"
        f"s.write_cohort(pathlib.Path(sys.argv[1]), cases=1, spacing_mm={SPACING}, seed=7, first=2)"
    )
    threads = {"OMP_NUM_THREADS": "2", "OPENBLAS_NUM_THREADS": "2", "NUMBA_NUM_THREADS": "2"}
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True, env=os.environ | threads)
    alone = digests(tmp_path)
    assert len(alone) == 12
    together = digests(cohort)
    assert alone == {name: together[name] for name in alone}


def test_a_case_that_was_not_simulated_is_not_replaced(tmp_path: Path) -> None:
    scan = tmp_path / "BraTSReg_001" / "BraTSReg_001_00_0000_t1ce.nii.gz"
    scan.parent.mkdir()
    scan.write_bytes(b"of a real patient")
    with pytest.raises(WssamnetError, match="holds BraTSReg_001, which was not simulated"):
        write_cohort(tmp_path, cases=1, spacing_mm=8, seed=1)
    assert scan.read_bytes() == b"of a real patient"


def test_another_seed_is_another_patient(cohort: Path, tmp_path: Path) -> None:
    write_cohort(tmp_path, cases=1, spacing_mm=8, seed=8)
    assert pair(tmp_path, "BraTSReg_001")[0].points[0].tolist() != pair(cohort, "BraTSReg_001")[0].points[0].tolist()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"cases": 0}, "cases: 0 cases"),
        ({"first": 0}, "first: case numbers 0 to 0"),
        ({"cases": 1000}, "cases: case numbers 1 to 1000"),
        ({"spacing_mm": 0.1}, "spacing_mm: a voxel size of 0.1 mm"),
        ({"seed": -1}, "seed: the seed -1 is negative"),
    ],
)
def test_wrong_values_are_named(tmp_path: Path, wrong: dict[str, int], message: str) -> None:
    arguments = {"cases": 1, "spacing_mm": 8, "seed": 0} | wrong
    with pytest.raises(SettingsError, match=message):
        write_cohort(tmp_path, **arguments)  # type: ignore[arg-type]
    assert not list(tmp_path.glob("BraTSReg*"))

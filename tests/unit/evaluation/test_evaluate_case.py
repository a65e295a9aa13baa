"""One case judged: known errors, files, and what happens when a method fails."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from wssamnet.cohort import Scan
from wssamnet.errors import LandmarkError, WssamnetError
from wssamnet.evaluation import evaluate_case
from wssamnet.images import read_displacement, write_displacement
from wssamnet.landmarks import Landmarks, read_landmarks, write_landmarks


def _evaluate(cohort: Any, method: str = "shift", case: str = "case_a") -> tuple[Path, dict[str, Any]]:
    folder = evaluate_case(
        cohort.registration(method, case), cohort.prepared[case], cohort.cases[case], cohort.root / "evaluation"
    )
    return folder, json.loads((folder / "metrics.json").read_text())


def test_errors_are_those_of_the_landmark_files(cohort: Any) -> None:
    folder, metrics = _evaluate(cohort)
    fixed = read_landmarks(cohort.prepared["case_a"] / "truth.csv").points
    moving = read_landmarks(cohort.prepared["case_a"] / "moving_landmarks.csv").points
    warped = moving - np.array([2.0, 0, 0])  # pull-back +2 mm along x: moving points go the other way
    before, after = np.linalg.norm(moving - fixed, axis=1), np.linalg.norm(warped - fixed, axis=1)
    assert folder == cohort.root / "evaluation" / "shift" / "case_a"
    errors = metrics["errors"]["euclidean"]
    assert errors["initial"]["median"] == pytest.approx(np.median(before), abs=1e-3)
    assert errors["final"]["mean"] == pytest.approx(after.mean(), abs=1e-3)
    assert errors["robustness"]["share"] == pytest.approx((after < before).mean())
    assert metrics["errors"]["l1"]["final"]["mean"] == pytest.approx(
        np.abs(warped - fixed).sum(axis=1).mean(), abs=1e-3
    )
    np.testing.assert_allclose(
        metrics["errors"]["per_axis"]["initial"]["mean"], np.abs(moving - fixed).mean(axis=0), atol=1e-3
    )
    assert metrics["regularity"]["folding"] == 0
    assert metrics["regularity"]["sd_log_jacobian"] == pytest.approx(0, abs=1e-4)
    assert metrics["run"]["seconds"]["register"] >= 0
    assert metrics["problems"] == []


def test_the_landmark_table_holds_every_kind(cohort: Any) -> None:
    folder, metrics = _evaluate(cohort)
    table = pd.read_csv(folder / "landmarks.csv")
    assert len(table) == metrics["landmarks"] == 6
    gap = table[["warped_x", "warped_y", "warped_z"]].to_numpy() - table[["fixed_x", "fixed_y", "fixed_z"]].to_numpy()
    np.testing.assert_allclose(table["euclidean"], np.linalg.norm(gap, axis=1), atol=2e-4)
    np.testing.assert_allclose(table["l1"], np.abs(gap).sum(axis=1), atol=4e-4)
    np.testing.assert_allclose(table[["error_x", "error_y", "error_z"]], np.abs(gap), atol=2e-4)
    assert {"initial_euclidean", "initial_l1", "initial_error_x"} <= set(table.columns)


def test_identity_changes_nothing(cohort: Any) -> None:
    _, metrics = _evaluate(cohort, "identity")
    errors = metrics["errors"]["euclidean"]
    assert errors["initial"] == pytest.approx(errors["final"], abs=1e-3)
    assert errors["robustness"]["improved"] == 0


def test_planes_are_the_same_for_every_method(cohort: Any) -> None:
    first, second = (np.load(_evaluate(cohort, method)[0] / "planes.npz") for method in ("identity", "shift"))
    for plane in ("sagittal", "coronal", "axial"):
        fixed = first[f"{plane}_fixed"]
        assert fixed.dtype == np.uint8
        assert fixed.max() > 200
        np.testing.assert_array_equal(fixed, second[f"{plane}_fixed"])
        np.testing.assert_array_equal(first[f"{plane}_moving"], first[f"{plane}_warped"])
        assert (first[f"{plane}_moving"] != second[f"{plane}_warped"]).any()
        marks = first[f"{plane}_landmarks"]
        size = np.array(fixed.shape[::-1]) * first[f"{plane}_place"][:2]
        assert len(marks) >= 1
        assert ((marks[:, 1:3] >= 0) & (marks[:, 1:3] <= size)).all()
    # +2 mm along LPS x is towards the patient's left: to the right in a coronal picture
    shown = second["coronal_displacement"].astype(float)
    np.testing.assert_allclose(shown, np.broadcast_to([2.0, 0.0], shown.shape), atol=1e-2)
    moved = second["axial_landmarks"]
    np.testing.assert_allclose(moved[:, 5:7] - moved[:, 3:5], np.broadcast_to([-2.0, 0.0], (len(moved), 2)), atol=1e-2)


def test_a_lost_landmark_leaves_the_errors_empty_and_says_so(cohort: Any) -> None:
    path = cohort.registration("shift", "case_a") / "landmarks.csv"
    found = read_landmarks(path)
    write_landmarks(path, found.select(found.ids[1:]))
    folder, metrics = _evaluate(cohort)
    assert metrics["errors"]["euclidean"]["final"] is None
    assert metrics["errors"]["euclidean"]["initial"]["mean"] > 0
    assert metrics["problems"] == ["the method lost landmarks 1: the case's errors are not defined"]
    assert pd.read_csv(folder / "landmarks.csv")["euclidean"].isna().sum() == 1


def test_a_field_that_is_not_finite_is_a_problem_of_the_method(cohort: Any) -> None:
    path = cohort.registration("shift", "case_a") / "fixed_to_moving.nii.gz"
    field, grid = read_displacement(path)
    field[10, 10, 9] = np.nan
    write_displacement(path, field, grid)
    folder, metrics = _evaluate(cohort)
    assert metrics["regularity"] is None
    assert "NaN or infinite" in metrics["problems"][0]
    assert metrics["errors"]["euclidean"]["final"]["mean"] > 0
    assert not (folder / "planes.npz").exists()


@pytest.mark.parametrize("name", ["warped.nii.gz", "fixed_to_moving.nii.gz", "landmarks.csv", "run.json"])
def test_a_missing_file_is_a_problem_that_names_it(cohort: Any, name: str) -> None:
    (cohort.registration("shift", "case_a") / name).unlink()
    _, metrics = _evaluate(cohort)
    assert len(metrics["problems"]) == 1
    assert name in metrics["problems"][0]


def test_a_case_without_landmarks_is_judged_by_its_field(cohort: Any) -> None:
    case = cohort.cases["case_a"]
    cohort.cases["case_a"] = replace(case, fixed=Scan(case.fixed.images))
    folder, metrics = _evaluate(cohort)
    assert metrics["landmarks"] is None
    assert metrics["errors"] is None
    assert metrics["regularity"]["voxels"] > 0
    assert not (folder / "landmarks.csv").exists()


def test_faults_of_the_cohort_are_raised_and_leave_nothing(cohort: Any) -> None:
    path = cohort.prepared["case_a"] / "truth.csv"
    write_landmarks(path, Landmarks((101,), np.zeros((1, 3))))
    with pytest.raises(LandmarkError, match="shares no landmark id"):
        _evaluate(cohort)
    with pytest.raises(WssamnetError, match="holds case case_b, not case_a"):
        evaluate_case(
            cohort.registration("shift", "case_b"), cohort.prepared["case_a"], cohort.cases["case_a"], cohort.root / "x"
        )
    with pytest.raises(WssamnetError, match="no such registration"):
        evaluate_case(cohort.root / "none", cohort.prepared["case_a"], cohort.cases["case_a"], cohort.root / "x")
    assert not (cohort.root / "evaluation").exists()
    assert not (cohort.root / "x").exists()


def test_evaluation_needs_neither_torch_nor_a_registrar() -> None:
    code = (
        "import sys, wssamnet.evaluation; "
        "print([n for n in sys.modules if n == 'torch' or n.startswith(('wssamnet.reg', 'wssamnet.mod'))])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

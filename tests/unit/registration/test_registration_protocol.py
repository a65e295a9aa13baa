"""What every registrar leaves behind, whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from wssamnet.errors import CohortError, GeometryError
from wssamnet.fields import AffineMap, DisplacementField
from wssamnet.files import write_json
from wssamnet.images import read_displacement, read_image
from wssamnet.landmarks import read_landmarks
from wssamnet.preprocessing.prepared import PreparedCase, load_prepared
from wssamnet.registration.affine import AffineRegistrar
from wssamnet.registration.batch import register_cases
from wssamnet.registration.identity import IdentityRegistrar
from wssamnet.registration.protocol import Registration, run

SHAPE = (12, 13, 14)
Make = Callable[..., PreparedCase]


class Given:
    """A registrar for tests: returns or raises what it is given."""

    name = "given"
    seed: int | None = 5
    device = "cpu"

    def __init__(self, result: Registration | Exception) -> None:
        self.result = result

    def register(self, case: PreparedCase) -> Registration:
        if isinstance(self.result, Exception):
            raise self.result
        return self.result


def _everything(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*"))


def test_the_files_and_the_record(make_prepared: Make, tmp_path: Path) -> None:
    case = make_prepared(shape=SHAPE)
    folder = run(IdentityRegistrar(), case, tmp_path / "out", start_up=1.25, cases_in_task=3)
    assert folder == tmp_path / "out" / "identity" / "case_a"
    names = ["fixed_to_moving.nii.gz", "landmarks.csv", "moving_to_fixed.nii.gz", "run.json", "warped.nii.gz"]
    assert _everything(tmp_path / "out") == ["identity", "identity/case_a", *(f"identity/case_a/{n}" for n in names)]
    record = json.loads((folder / "run.json").read_text())
    assert (record["method"], record["case"], record["device"], record["seed"]) == ("identity", "case_a", "cpu", None)
    assert set(record["seconds"]) == {"start_up", "load", "register", "write"}
    assert record["seconds"]["start_up"] == 1.25
    assert record["cases_in_task"] == 3
    assert record["threads"] >= 1
    assert record["versions"]["wssamnet"]
    assert record["prealigned_by"] is None, "it moves nothing, whatever preprocessing found"
    assert record["landmark_round_trip"] == {"max_mm": 0.0, "median_mm": 0.0, "not_inverted": 0}


def test_identity_changes_nothing(make_prepared: Make, tmp_path: Path) -> None:
    case = make_prepared(shape=SHAPE)
    folder = run(IdentityRegistrar(), case, tmp_path / "out")
    np.testing.assert_allclose(read_image(folder / "warped.nii.gz").data, case.image("moving").data, atol=1e-2)
    for name in ("fixed_to_moving", "moving_to_fixed"):
        np.testing.assert_array_equal(read_displacement(folder / f"{name}.nii.gz")[0], 0)
    moving, mapped = case.moving_landmarks(), read_landmarks(folder / "landmarks.csv")
    assert moving is not None
    assert mapped.ids == moving.ids
    np.testing.assert_array_equal(mapped.points, moving.points)


def test_affine_hands_on_the_prealignment(make_prepared: Make, tmp_path: Path) -> None:
    case = make_prepared(shape=SHAPE)
    matrix = np.array([[1.1, 0.1, 0, 4], [-0.1, 0.9, 0, -6], [0, 0, 1, 2], [0, 0, 0, 1]])
    write_json(case.folder / "prepared.json", {**case.record, "prealignment": matrix.tolist(), "prealigned_by": "lncc"})
    case = load_prepared(case.folder)
    folder = run(AffineRegistrar(), case, tmp_path / "out")
    moving, mapped = case.moving_landmarks(), read_landmarks(folder / "landmarks.csv")
    assert moving is not None
    np.testing.assert_allclose(AffineMap(matrix)(mapped.points), moving.points, atol=1e-3)
    assert json.loads((folder / "run.json").read_text())["prealigned_by"] == "lncc"


def test_a_case_without_landmarks(make_prepared: Make, tmp_path: Path) -> None:
    case = make_prepared(shape=SHAPE)
    (case.folder / "moving_landmarks.csv").unlink()
    folder = run(IdentityRegistrar(), case, tmp_path / "out")
    assert not (folder / "landmarks.csv").exists()
    assert json.loads((folder / "run.json").read_text())["landmark_round_trip"] is None


def test_landmarks_without_an_inverse_are_counted(make_prepared: Make, tmp_path: Path) -> None:
    case = make_prepared(shape=SHAPE)
    moving = case.moving_landmarks()
    assert moving is not None
    result = Registration(AffineMap(), AffineMap(np.array([[1.0, 0, 0, 3], *np.eye(4)[1:]])))
    folder = run(Given(result), case, tmp_path / "out")
    trip = json.loads((folder / "run.json").read_text())["landmark_round_trip"]
    assert trip == {"max_mm": 3.0, "median_mm": 3.0, "not_inverted": len(moving)}


def test_a_registrars_record_wins(make_prepared: Make, tmp_path: Path) -> None:
    result = Registration(AffineMap(), AffineMap(), {"preset": "fast", "threads": 77})
    folder = run(Given(result), make_prepared(shape=SHAPE), tmp_path / "out")
    record = json.loads((folder / "run.json").read_text())
    assert (record["preset"], record["threads"], record["seed"]) == ("fast", 77, 5)


def test_a_failed_method_leaves_nothing(make_prepared: Make, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="diverged"):
        run(Given(RuntimeError("diverged")), make_prepared(shape=SHAPE), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_displacement_that_is_not_finite(make_prepared: Make, tmp_path: Path) -> None:
    case = make_prepared(shape=SHAPE)
    u = np.zeros((*SHAPE, 3), np.float32)
    u[3, 4, 5] = np.nan
    field = DisplacementField(u, case.grid)
    for result in (Registration(field, AffineMap()), Registration(AffineMap(), field)):
        with pytest.raises(GeometryError, match="case_a: given gave a displacement that is not finite"):
            run(Given(result), case, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_failure_while_writing_keeps_the_earlier_result(
    make_prepared: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = make_prepared(shape=SHAPE)
    folder = run(IdentityRegistrar(), case, tmp_path / "out", start_up=1)
    before = _everything(tmp_path / "out")

    def full(*_: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr("wssamnet.registration.protocol.write_landmarks", full)
    with pytest.raises(OSError, match="No space left"):
        run(IdentityRegistrar(), case, tmp_path / "out", start_up=2)
    monkeypatch.undo()
    assert _everything(tmp_path / "out") == before
    assert json.loads((folder / "run.json").read_text())["seconds"]["start_up"] == 1
    run(IdentityRegistrar(), case, tmp_path / "out", start_up=3)
    assert json.loads((folder / "run.json").read_text())["seconds"]["start_up"] == 3
    assert _everything(tmp_path / "out") == before


def test_several_cases(make_prepared: Make, tmp_path: Path) -> None:
    cases = [make_prepared(name, shape=SHAPE, seed=seed) for seed, name in enumerate(("b", "a"))]
    seen: list[tuple[int, int, str]] = []
    folders = register_cases(
        IdentityRegistrar(),
        [case.folder for case in cases],
        tmp_path / "out",
        lambda number, count, folder: seen.append((number, count, folder.name)),
        start_up=0.5,
    )
    assert [folder.name for folder in folders] == ["b", "a"]
    assert seen == [(1, 2, "b"), (2, 2, "a")]
    assert json.loads((folders[1] / "run.json").read_text())["cases_in_task"] == 2


def test_every_case_is_opened_before_the_first_is_registered(make_prepared: Make, tmp_path: Path) -> None:
    with pytest.raises(CohortError, match="is not a prepared case"):
        register_cases(IdentityRegistrar(), [make_prepared(shape=SHAPE).folder, tmp_path / "none"], tmp_path / "out")
    assert not (tmp_path / "out").exists()

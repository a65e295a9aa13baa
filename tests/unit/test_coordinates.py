"""Landmarks in RAS or voxel coordinates, said so, on oblique grids: every later step sees the LPS ones."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.spatial.transform import Rotation
from wssamnet.geometry import Frame, Grid
from wssamnet.images import Volume, write_image
from wssamnet.landmarks import COORDINATES, Landmarks, read_landmarks, to_lps

FRAMES = {"lps": Frame.LPS, "ras": Frame.RAS, "voxel": Frame.IJK}
IDS = tuple(range(1, 7))
OBLIQUE = np.eye(4)
OBLIQUE[:3, :3] = Rotation.from_euler("xyz", [20, -35, 100], degrees=True).as_matrix() @ np.diag([3.1, 2.7, 4.3])
OBLIQUE[:3, 3] = (11.5, -40.25, 3)
GRID = Grid((43, 45, 31), OBLIQUE)


def _write(path: Path, points: np.ndarray) -> None:
    """With every digit: what a file rounds away is not what is tested here."""
    rows = "".join(f"{n},{x!r},{y!r},{z!r}\n" for n, (x, y, z) in zip(IDS, points.tolist(), strict=True))
    path.write_text("Landmark,X,Y,Z\n" + rows)


def _cohort(root: Path, coordinates: str) -> dict[str, np.ndarray]:
    """Two cases on oblique grids, fixed and moving on different ones; the first one's landmarks in LPS."""
    points: dict[str, np.ndarray] = {}
    rows = ["case,fixed_t1ce,moving_t1ce,fixed_landmarks,moving_landmarks"]
    for case in ("a", "b"):
        (root / case).mkdir(parents=True)
        for number, (side, grid) in enumerate((("fixed", GRID), ("moving", GRID.crop((2, -1, 1), (40, 46, 30))))):
            axes = np.stack(np.meshgrid(*[np.linspace(-1, 1, n) for n in grid.shape], indexing="ij"))
            texture = np.random.default_rng(number).uniform(200, 900, grid.shape)
            image = Volume((texture * ((axes**2).sum(axis=0) < 0.7)).astype(np.int16), grid)
            write_image(root / case / f"{side}.nii.gz", image)
            ijk = np.array(grid.shape) * np.random.default_rng(7 + number).uniform(0.4, 0.6, (len(IDS), 3))
            lps = grid.convert(ijk, Frame.IJK, Frame.LPS)
            points.setdefault(side, lps)
            _write(root / case / f"{side}.csv", grid.convert(lps, Frame.LPS, FRAMES[coordinates]))
        rows.append(",".join([case, *(f"{case}/{s}.{e}" for e in ("nii.gz", "csv") for s in ("fixed", "moving"))]))
    (root / "sheet.csv").write_text("\n".join(rows) + "\n")
    return points


def _wssamnet(monkeypatch: pytest.MonkeyPatch, *words: object) -> None:
    from wssamnet.cli.app import run

    monkeypatch.setattr(sys, "argv", ["wssamnet", *map(str, words)])
    with pytest.raises(SystemExit) as left:
        run()
    assert not left.value.code


@pytest.mark.parametrize("coordinates", COORDINATES)
def test_check_preprocess_register_and_evaluate(
    coordinates: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    points = _cohort(tmp_path, coordinates)
    said = ("--landmark-coordinates", coordinates)
    _wssamnet(monkeypatch, "check", tmp_path / "sheet.csv", "--out", tmp_path / "o", "--test-cases", "a", *said)
    case = tmp_path / "o" / "cases" / "a.json"
    sides = json.loads(case.read_text())
    assert [sides[side]["landmark_coordinates"] for side in ("fixed", "moving")] == [coordinates] * 2

    _wssamnet(monkeypatch, "preprocess", case, "--out", tmp_path / "p", "--set", "prealign=identity")
    prepared = tmp_path / "p" / "a"
    np.testing.assert_allclose(read_landmarks(prepared / "moving_landmarks.csv").points, points["moving"], atol=1e-3)
    grid = Grid(**json.loads((prepared / "prepared.json").read_text())["grid"])
    for side in ("fixed", "moving"):
        inside = np.rint(grid.convert(points[side], Frame.LPS, Frame.IJK)).astype(int)
        assert np.load(prepared / f"{side}_roi.npy")[tuple(inside.T)].all()

    _wssamnet(monkeypatch, "register-cases", "identity", prepared, "--out", tmp_path / "r")
    words = ("evaluate", tmp_path / "r" / "identity" / "a", "--prepared", prepared, "--cases", case)
    _wssamnet(monkeypatch, *words, "--out", tmp_path / "e")
    table = pd.read_csv(tmp_path / "e" / "identity" / "a" / "landmarks.csv")
    for side in ("fixed", "moving"):
        np.testing.assert_allclose(table[[f"{side}_{axis}" for axis in "xyz"]], points[side], atol=1e-3)
    np.testing.assert_allclose(table["warped_x"], points["moving"][:, 0], atol=1e-2)
    error = np.linalg.norm(points["fixed"] - points["moving"], axis=1)
    assert error.min() > 1
    np.testing.assert_allclose(table["initial_euclidean"], error, atol=1e-3)


def test_voxel_coordinates_count_from_the_centre_of_the_first_voxel() -> None:
    first = to_lps(Landmarks((1,), np.zeros((1, 3))), "voxel", GRID)
    np.testing.assert_allclose(first.points[0], GRID.origin)

"""Scans that were not taken far enough: where one ends, the refinement asks nothing of the other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from wssamnet.geometry import Grid
from wssamnet.images import Volume, write_image
from wssamnet.landmarks import read_landmarks
from wssamnet.preprocessing.prepared import PreparedCase
from wssamnet.registration import refined
from wssamnet.registration.protocol import run
from wssamnet.registration.refined import RefinementRegistrar, Side, beyond_scan, on_working_grid
from wssamnet.registration.refinement import SCHEDULES

Make = Callable[..., PreparedCase]
SHAPE = (36, 40, 44)


def _cut(case: PreparedCase, side: Side, slices: int) -> None:
    """Leave the lowest slices of a scan out, as if they had never been taken; its file is stored flipped."""
    for name in (side, f"{side}_mask"):
        array = np.array(case.array(name))
        array[..., :slices] = 0
        np.save(case.folder / f"{name}.npy", array)
    kept = case.image(side).data[::-1, :, slices:]
    affine = case.grid.affine @ np.diag([-1.0, 1.0, 1.0, 1.0])
    affine[:3, 3] = (case.grid.affine @ [SHAPE[0] - 1, 0, slices, 1])[:3]
    write_image(case.folder / f"{side}.nii.gz", Volume(np.ascontiguousarray(kept), Grid(kept.shape, affine)))


@pytest.mark.parametrize("side", ["fixed", "moving"])
def test_what_lies_beyond_a_scan_is_known_to_the_voxel(make_prepared: Make, side: Side) -> None:
    case = make_prepared(shape=SHAPE)
    assert beyond_scan(case, side) is None
    _cut(case, side, 14)
    found = beyond_scan(case, side)
    assert found is not None
    wanted = np.zeros(SHAPE, bool)
    wanted[..., :14] = True
    np.testing.assert_array_equal(found, wanted)
    assert beyond_scan(case, "moving" if side == "fixed" else "fixed") is None


def test_a_lesion_between_thick_slices_is_not_lost() -> None:
    thick = Grid((12, 12, 12), np.diag([4.0, 4.0, 5.0, 1.0]))
    fine = Grid((48, 48, 60), np.array([[1.0, 0, 0, 0], [0, 1, 0, 0], [0, 0, -1, 59], [0, 0, 0, 1]]))
    lesion = np.zeros(fine.shape, bool)
    lesion[17:23, 20, 59 - 13 : 59 - 11] = True  # z of 12 and 13 mm, between the slices at 10 and 15
    found = on_working_grid(Volume(lesion, fine), thick)
    assert found is not None
    assert np.unique(np.nonzero(found)[2]).tolist() == [2, 3]
    assert set(np.unique(np.nonzero(found)[0])) >= {4, 5}
    same = on_working_grid(Volume(lesion, fine), fine)
    np.testing.assert_array_equal(same, lesion)  # on its own grid it is what it is


def test_a_shaved_edge_changes_nothing(make_prepared: Make) -> None:
    case = make_prepared(shape=SHAPE)
    lowest = int(np.flatnonzero(case.array("fixed_mask").any(axis=(0, 1)))[0])
    _cut(case, "moving", lowest + 1)
    assert beyond_scan(case, "moving") is None


@pytest.mark.parametrize("schedule", ["fast", "accurate"])
@pytest.mark.parametrize("side", ["fixed", "moving"])
def test_tissue_is_not_pulled_to_a_scans_edge(
    make_prepared: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, side: Side, schedule: str
) -> None:
    case = make_prepared(shape=SHAPE, amplitude=2.0, landmarks=80)
    truth = read_landmarks(case.folder / "truth.csv").points
    whole = run(RefinementRegistrar(schedule), case, tmp_path / "whole")
    _cut(case, side, 16)
    told = run(RefinementRegistrar(schedule), case, tmp_path / "told")
    monkeypatch.setattr(refined, "CUT", 1.0)
    untold = run(RefinementRegistrar(schedule), case, tmp_path / "untold")
    seen = truth[:, 2] > 4.0 * 19  # above the cut, and no farther from it than the deformation reaches
    found = (read_landmarks(folder / "landmarks.csv").points for folder in (whole, told, untold))
    errors = [np.linalg.norm(points - truth, axis=1)[seen] for points in found]
    assert errors[1].mean() < 1.1 * errors[0].mean()
    assert errors[2].mean() > 1.15 * errors[1].mean()


@pytest.mark.parametrize("side", ["fixed", "moving"])
def test_tissue_beyond_a_scan_is_not_carried_away(
    make_prepared: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, side: Side
) -> None:
    case = make_prepared(shape=SHAPE, amplitude=2.0, landmarks=80)
    truth = read_landmarks(case.folder / "truth.csv").points
    _cut(case, side, 16)
    now = SCHEDULES["fast"]
    errors = []
    for floor in (now.floor, 0.0):  # without it, faint tails of what lies beside become whole steps
        monkeypatch.setitem(SCHEDULES, "fast", replace(now, floor=floor))
        folder = run(RefinementRegistrar("fast"), case, tmp_path / str(floor))
        found = read_landmarks(folder / "landmarks.csv").points
        errors.append(np.linalg.norm(found - truth, axis=1)[truth[:, 2] < 4.0 * 14].mean())
    assert errors[0] < 0.9 * errors[1]

"""Where the error is: distances to a lesion, bands, the worst landmarks, and what surrounds them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from wssamnet.errors import GeometryError
from wssamnet.evaluation import evaluate_case
from wssamnet.evaluation.patches import COUNT, SIZE, cut_patches
from wssamnet.evaluation.planes import Marks
from wssamnet.evaluation.where import (
    DISTANCE,
    common_errors,
    error_by_distance,
    lesion_distance,
    worst_landmarks,
    write_where,
)
from wssamnet.geometry import Frame, Grid
from wssamnet.images import Volume, read_image, write_image

TURNED = np.array([[0, 0, -2.0, 5], [3, 0, 0, -7], [0, 4, 0, 9], [0, 0, 0, 1]])  # RAS; axes i, j, k: y, z, -x


def test_the_distance_is_that_from_the_surface_of_the_voxels() -> None:
    grid = Grid((9, 9, 9), TURNED)
    inside = np.zeros(grid.shape, dtype=bool)
    inside[2:4, 4, 4] = True
    # beside the lesion along i by one voxel of 3 mm, within it, along j by two of 4, and past a corner
    ijk = np.array([[4.5, 4, 4], [2.4, 4.3, 3.6], [3, 6.5, 4], [5.5, 5.5, 5.5]])
    corner = np.sqrt((2 * 3) ** 2 + 4**2 + 2**2)
    found = lesion_distance(grid.convert(ijk, Frame.IJK, Frame.LPS), Volume(inside, grid))
    np.testing.assert_allclose(found, [3, 0, 8, corner])
    assert np.isnan(lesion_distance(np.zeros((2, 3)), Volume(np.zeros(grid.shape, dtype=bool), grid))).all()


def _landmarks(**changes: Any) -> pd.DataFrame:
    """Two cases; "b" is the better method, though "a" has the largest errors' lesser ones."""
    rows = [
        ("a", "x", 1, 9.0, 1.0, 0.0),
        ("a", "x", 2, 8.0, 2.0, 5.0),
        ("a", "y", 1, 7.0, 6.0, 5.1),
        ("a", "y", 2, 6.0, np.nan, 30.0),
        ("b", "x", 1, 9.0, 3.0, 0.0),
        ("b", "x", 2, 8.0, 0.5, 5.0),
        ("b", "y", 1, 7.0, 1.5, 5.1),
        ("b", "y", 2, 6.0, 0.25, 30.0),
    ]
    frame = pd.DataFrame(rows, columns=["method", "case", "landmark", "initial_euclidean", "euclidean", DISTANCE])
    return frame.assign(**changes)


def test_bands_hold_every_landmark_once_and_only_those_with_an_error() -> None:
    table = error_by_distance(_landmarks(), "before", "euclidean")
    assert table is not None
    rows = {(row.method, row.from_mm): row for row in table.itertuples()}
    assert [rows["a", low].n for low in (0, 5, 10, 20)] == [2, 1, 0, 0]
    assert [rows["b", low].n for low in (0, 5, 10, 20)] == [2, 1, 0, 1]
    assert (rows["a", 0].mean, rows["a", 0].median) == (1.5, 1.5)
    assert rows["before", 0].mean == 8.5
    assert rows["before", 20].mean == 6
    assert np.isnan(rows["a", 20].mean)
    assert table["method"].drop_duplicates().tolist() == ["before", "a", "b"]


def test_cases_without_a_lesion_are_left_out_and_none_is_no_table() -> None:
    landmarks = _landmarks()
    landmarks.loc[landmarks["case"] == "y", DISTANCE] = np.nan
    table = error_by_distance(landmarks, "before", "euclidean")
    assert table is not None
    assert table.groupby("method")["n"].sum().to_dict() == {"a": 2, "b": 2, "before": 2}
    assert error_by_distance(_landmarks(**{DISTANCE: np.nan}), "before", "euclidean") is None
    assert error_by_distance(_landmarks().drop(columns=DISTANCE), "before", "euclidean") is None


def test_methods_are_compared_on_the_cases_that_all_have() -> None:
    rows = [("a", "x", 1.0), ("a", "y", np.nan), ("b", "x", 0.5), ("b", "y", 9.0), ("c", "x", 2.0), ("c", "y", 3.5)]
    cases = pd.DataFrame(rows, columns=["method", "case", "mean"])
    common = common_errors(cases, ["a", "b", "c", "failed"])
    assert common.index.tolist() == ["x"]
    assert common.mean().to_dict() == {"a": 1, "b": 0.5, "c": 2}
    assert common_errors(cases, ["b", "c"]).index.tolist() == ["x", "y"]
    assert common_errors(cases.assign(mean=np.nan), ["a", "b"]).empty
    # without any case in common, the method of the fewest cases is left out
    cases = pd.DataFrame([*rows[2:], ("d", "z", 0.1)], columns=["method", "case", "mean"])
    assert common_errors(cases, ["d", "c", "b"]).columns.tolist() == ["c", "b"]


def test_the_worst_landmarks_carry_every_methods_error() -> None:
    table = worst_landmarks(_landmarks(), "b", ["a", "b", "failed"], "euclidean", 3)
    assert table[["case", "landmark"]].to_numpy().tolist() == [["x", 1], ["y", 1], ["x", 2]]
    assert table["error b"].tolist() == [3, 1.5, 0.5]
    assert table["error a"].tolist() == [1, 6, 2]
    assert table["error failed"].isna().all()
    assert table["initial"].tolist() == [9, 7, 8]
    assert table[DISTANCE].tolist() == [0, 5.1, 5]
    assert set(table["method"]) == {"b"}
    lost = worst_landmarks(_landmarks(), "a", ["a"], "euclidean", 9)
    assert len(lost) == 3, "a lost landmark has no error"


def test_tables_that_do_not_apply_are_not_there(tmp_path: Path) -> None:
    cases = pd.DataFrame([("b", "x", 2.0)], columns=["method", "case", "mean"])
    write_where(_landmarks(), cases, ["b"], "before", "euclidean", tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"error_by_distance.csv", "worst_landmarks.csv"}
    write_where(_landmarks().drop(columns=DISTANCE), cases, ["b"], "before", "euclidean", tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"worst_landmarks.csv"}
    empty = pd.DataFrame(columns=["method", "case", "landmark"])
    write_where(empty, cases.assign(mean=np.nan), ["b"], "before", "euclidean", tmp_path)
    assert not list(tmp_path.iterdir())


def _point_marks(grid: Grid, ijk: np.ndarray, found: np.ndarray) -> Marks:
    """Landmarks at voxels of `ijk` that were brought to `found`; the moving ones lie one mm to the left."""
    fixed, warped = (grid.convert(points, Frame.IJK, Frame.LPS) for points in (ijk, found))
    return Marks(tuple(range(1, len(ijk) + 1)), fixed, fixed + np.array([1.0, 0, 0]), warped)


def test_a_patch_shows_the_landmark_and_where_it_was_brought() -> None:
    grid = Grid((60, 64, 56), np.diag([-1.0, -1.0, 1.0, 1.0]))  # so IJK are LPS mm
    data = np.zeros(grid.shape, dtype=np.float32)
    data[30, 32, 28] = 100  # at the landmark
    data[38, 32, 28] = 60  # 8 mm to the patient's left
    data[30, 27, 28] = 30  # 5 mm to the front
    moved = np.roll(data, 3, axis=2)
    marks = _point_marks(grid, np.array([[30, 32, 28]]), np.array([[34.0, 30, 29]]))
    out = cut_patches(Volume(data, grid), Volume(moved, grid), Volume(data, grid), marks)
    # 4 mm along x, 2 along y, 1 along z: an axial plane shows most
    assert out["planes"].tolist() == ["axial"]
    middle = SIZE // 2
    assert out["fixed"].shape == (1, SIZE, SIZE)
    bright = {tuple(place) for place in np.argwhere(out["fixed"][0] > 0).tolist()}
    assert bright == {(middle, middle), (middle, middle + 8), (middle - 5, middle)}, "left is right, front is up"
    assert out["fixed"][0][middle, middle] == out["fixed"][0].max()
    assert out["moving"].max() == 0, "3 mm higher"
    np.testing.assert_array_equal(out["warped"] > 0, out["fixed"] > 0)
    half = SIZE / 2
    np.testing.assert_allclose(out["warped_at"], [[half + 4, half - 2, 1]], atol=1e-4)
    np.testing.assert_allclose(out["moving_at"], [[half + 1, half, 0]], atol=1e-4)


def test_the_plane_is_the_one_of_the_error_and_an_image_is_not_needed() -> None:
    grid = Grid((30, 30, 30), TURNED)
    volume = Volume(np.random.default_rng(0).random(grid.shape).astype(np.float32), grid)
    ijk = np.full((3, 3), 15.0)
    shift = np.array([[0.1, 2, 1], [2, 0.1, 1], [2, 1, 0.1]])  # i is y, j is z, k is x
    out = cut_patches(volume, volume, None, _point_marks(grid, ijk, ijk + shift))
    assert out["planes"].tolist() == ["coronal", "axial", "sagittal"]
    assert "warped" not in out


def test_the_worst_by_either_kind_are_cut_and_lost_ones_are_not() -> None:
    grid = Grid((30, 30, 30), np.diag([-2.0, -2.0, 2.0, 1.0]))
    volume = Volume(np.ones(grid.shape, dtype=np.float32), grid)
    count = COUNT + 8
    ijk = np.full((count, 3), 15.0)
    found = ijk.copy()
    found[:, 0] += np.arange(count) / 10
    found[0] = np.nan
    found[1] = 15.4  # large by the sum over the axes alone
    out = cut_patches(volume, volume, volume, _point_marks(grid, ijk, found))
    assert out["ids"].tolist() == [2, *range(count - COUNT + 1, count + 1)]
    found[:] = np.nan
    assert cut_patches(volume, volume, volume, _point_marks(grid, ijk, found)) == {}


def _evaluate(cohort: Any, lesion: Path | None) -> Path:
    case = replace(cohort.cases["case_a"], lesion=lesion)
    return evaluate_case(
        cohort.registration("shift", "case_a"), cohort.prepared["case_a"], case, cohort.root / "evaluation"
    )


def test_an_evaluation_holds_distances_where_a_lesion_is_known(cohort: Any) -> None:
    plain = pd.read_csv(_evaluate(cohort, None) / "landmarks.csv")
    assert plain[DISTANCE].isna().all()
    fixed = read_image(cohort.prepared["case_a"] / "fixed.nii.gz")
    inside = np.zeros(fixed.grid.shape, dtype=np.uint8)
    points = plain[["fixed_x", "fixed_y", "fixed_z"]].to_numpy()
    inside[tuple(np.rint(fixed.grid.convert(points[0], Frame.LPS, Frame.IJK)).astype(int))] = 1
    path = cohort.root / "lesion.nii.gz"
    write_image(path, Volume(inside, fixed.grid))
    folder = _evaluate(cohort, path)
    table = pd.read_csv(folder / "landmarks.csv")
    assert table[DISTANCE][0] == 0
    assert (table[DISTANCE][1:] > 0).all()
    pd.testing.assert_frame_equal(table.drop(columns=DISTANCE), plain.drop(columns=DISTANCE))
    with np.load(folder / "patches.npz") as patches:
        assert patches["ids"].tolist() == table["landmark"].tolist()
        assert patches["warped"].shape == (6, SIZE, SIZE)
    write_image(path, Volume(inside[1:], Grid((21, 20, 18), fixed.grid.affine)))
    with pytest.raises(GeometryError, match="is not on the grid of its image"):
        _evaluate(cohort, path)

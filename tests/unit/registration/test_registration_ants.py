"""The ANTs registrar: exact composition, agreement with ANTs's own point transform, fair records."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from wssamnet.errors import SettingsError
from wssamnet.fields import AffineMap
from wssamnet.files import write_json
from wssamnet.geometry import Frame, Grid, transform_points
from wssamnet.images import write_displacement
from wssamnet.landmarks import read_landmarks
from wssamnet.preprocessing.prepared import PreparedCase, load_prepared
from wssamnet.registration.ants import PRESETS, AntsRegistrar, Preset, affine_matrix

os.environ.setdefault("ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS", "1")


def _changed(case: PreparedCase, **record: Any) -> PreparedCase:
    write_json(case.folder / "prepared.json", {**case.record, **record})
    return load_prepared(case.folder)


def _inside(grid: Grid, count: int = 40) -> np.ndarray[Any, Any]:
    ijk = np.random.default_rng(1).uniform(0.25, 0.75, (count, 3)) * np.array(grid.shape)
    return grid.convert(ijk, Frame.IJK, Frame.LPS)


def _ants_points(points: np.ndarray[Any, Any], files: list[str], invert: list[bool]) -> np.ndarray[Any, Any]:
    import ants
    import pandas as pd

    table = pd.DataFrame(points, columns=["x", "y", "z"])
    return np.asarray(ants.apply_transforms_to_points(3, table, files, whichtoinvert=invert)[["x", "y", "z"]])


@pytest.fixture
def kept_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, Any]:
    """What `ants.registration` returns, its files kept beyond the registrar's temporary folder."""
    import ants

    kept: dict[str, Any] = {}
    original = ants.registration

    def spy(*args: Any, **kwargs: Any) -> dict[str, Any]:
        found = original(*args, **kwargs)
        kept["folder"] = Path(kwargs["outprefix"]).parent
        for key in ("fwdtransforms", "invtransforms"):
            copies = []
            for file in found[key]:
                shutil.copy(file, tmp_path / Path(file).name)
                copies.append(str(tmp_path / Path(file).name))
            kept[key] = copies
        return found

    monkeypatch.setattr(ants, "registration", spy)
    return kept


@pytest.mark.parametrize("frame", ["plain", "oblique"])
def test_agrees_with_ants_own_points_both_ways(
    make_prepared: Callable[..., PreparedCase], kept_files: dict[str, Any], frame: str
) -> None:
    case = make_prepared(shape=(33, 34, 35), amplitude=2.5)
    start = np.eye(4)
    if frame == "oblique":
        affine = np.eye(4)
        affine[:3, :3] = Rotation.from_euler("xyz", [20, -35, 100], degrees=True).as_matrix() @ np.diag([3.5, 4, 4.5])
        affine[:3, 3] = (-40, 25, 90)
        start[:3, :3] = Rotation.from_euler("xyz", [4, -3, 2], degrees=True).as_matrix() * 1.05
        start[:3, 3] = (3, -5, 2)
        case = _changed(case, grid=Grid((33, 34, 35), affine).to_dict(), prealignment=start.tolist())
    result = AntsRegistrar("fast").register(case)
    points = _inside(case.grid)

    through_ants = _ants_points(points, kept_files["fwdtransforms"], [False, False])
    moved = transform_points(start, through_ants)
    assert np.abs(moved - points).max() > 1
    np.testing.assert_allclose(result.pull_back(points), moved, atol=0.01)

    # moving points to fixed space: the inverse transforms, the affine inverted
    aligned = AffineMap(start).inverse()(points)
    back = _ants_points(aligned, kept_files["invtransforms"], [True, False])
    np.testing.assert_allclose(result.push_forward(points), back, atol=0.01)
    assert not kept_files["folder"].exists(), "ANTs's files must not stay behind"


def test_undoes_a_known_deformation_repeatably_and_says_how(
    make_prepared: Callable[..., PreparedCase], capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(PRESETS, "good", Preset("CC", 2, (40, 10), 1.5))  # the real one takes a while
    case = make_prepared(shape=(24, 25, 26), amplitude=2)
    first, second = (AntsRegistrar("good", seed=3).register(case) for _ in range(2))
    moving = case.moving_landmarks()
    assert moving is not None
    truth = read_landmarks(case.folder / "truth.csv").points
    before = np.linalg.norm(moving.points - truth, axis=1).mean()
    after = np.linalg.norm(first.push_forward(moving.points) - truth, axis=1).mean()
    assert after < 0.6 * before
    np.testing.assert_array_equal(first.push_forward(moving.points), second.push_forward(moving.points))
    record = first.record
    assert record["preset"] == "good"
    assert record["ants"]["metric"] == "CC"
    assert record["ants"]["iterations"] == (40, 10)
    assert record["ants"]["version"] == version("antspyx")
    assert record["modality"] == "t1ce"
    assert record["similarity"]["after"] > record["similarity"]["before"]
    assert record["worse_than_start"] is False
    assert capfd.readouterr().out == ""


@pytest.mark.parametrize("preset", ["fast", "good"])
def test_a_result_worse_than_its_start_is_said_to_be(
    make_prepared: Callable[..., PreparedCase], monkeypatch: pytest.MonkeyPatch, preset: str
) -> None:
    import ants

    def diverged(fixed: Any, moving: Any, outprefix: str, **_: Any) -> dict[str, Any]:
        shift = ants.create_ants_transform("AffineTransform", dimension=3, translation=(20.0, 0, 0))
        ants.write_transform(shift, f"{outprefix}0GenericAffine.mat")
        for name in ("1Warp", "1InverseWarp"):
            write_displacement(f"{outprefix}{name}.nii.gz", np.zeros((*case.grid.shape, 3), np.float32), case.grid)
        return {
            "fwdtransforms": [f"{outprefix}1Warp.nii.gz", f"{outprefix}0GenericAffine.mat"],
            "invtransforms": [f"{outprefix}0GenericAffine.mat", f"{outprefix}1InverseWarp.nii.gz"],
            "warpedmovout": ants.apply_ants_transform_to_image(shift, moving, fixed),
        }

    case = make_prepared(shape=(20, 21, 22), amplitude=0.5)
    monkeypatch.setattr(ants, "registration", diverged)
    result = AntsRegistrar(preset).register(case)
    assert result.record["worse_than_start"] is True
    np.testing.assert_allclose(result.pull_back([[10.0, 20, 30]]), [[30, 20, 30]], atol=1e-5)
    np.testing.assert_allclose(result.push_forward([[10.0, 20, 30]]), [[-10, 20, 30]], atol=1e-5)


def test_affine_matrix_minds_the_centre() -> None:
    import SimpleITK as sitk

    rng = np.random.default_rng(0)
    parameters = np.r_[(np.eye(3) + 0.1 * rng.normal(size=(3, 3))).ravel(), rng.normal(size=3)]
    center = np.array([10.0, -20, 30])
    itk = sitk.AffineTransform(3)
    itk.SetFixedParameters(center.tolist())
    itk.SetParameters(parameters.tolist())
    point = np.array([1.0, 2, 3])
    np.testing.assert_allclose(transform_points(affine_matrix(parameters, center), point), itk.TransformPoint(point))


def test_levels_below_the_finest_voxel_size_are_left_out() -> None:
    preset = Preset("CC", 2, (100, 40, 15), finest_mm=1.5)
    assert preset.schedule(3.0) == (100, 40, 15)
    assert preset.schedule(1.0) == (100, 40, 0)
    assert Preset("CC", 2, (100, 40, 15), finest_mm=3.0).schedule(0.7) == (100, 0, 0), "never all of them"
    assert PRESETS["strong"].schedule(1.0) == PRESETS["strong"].iterations
    assert PRESETS["defaults"].schedule(1.0) == (40, 20, 0)


def test_an_exported_seed_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTS_RANDOM_SEED", "77")
    assert AntsRegistrar("fast", seed=1).seed == 77
    monkeypatch.delenv("ANTS_RANDOM_SEED")
    assert AntsRegistrar("fast", seed=0).seed == 1, "ANTs reads 0 as: by the clock"


def test_unknown_preset() -> None:
    with pytest.raises(SettingsError, match=re.escape("'quick' is not an ANTs preset (one of fast, defaults,")):
        AntsRegistrar("quick")

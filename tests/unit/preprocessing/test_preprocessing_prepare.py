"""A prepared folder: what it holds, that anatomy stays under its landmarks, all or nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from preprocessing_samples import centre, landmark_points, render, small_affine, write_case, write_scan
from wssamnet.cohort import Case
from wssamnet.errors import CohortError, GeometryError, ImageError
from wssamnet.fields import AffineMap
from wssamnet.geometry import Frame, Grid
from wssamnet.images import Volume, read_image, write_image
from wssamnet.landmarks import read_landmarks
from wssamnet.preprocessing import load_prepared, prepare_case
from wssamnet.settings import make_settings

GRID = Grid((40, 44, 36), np.array([[-4.0, 0, 0, 0], [0, -4, 0, 239], [0, 0, 4, 0], [0, 0, 0, 1]]))
STILL = make_settings(values={"prealign": "identity"})


def test_files_types_and_record(tmp_path: Path) -> None:
    case = write_case(tmp_path / "in", GRID, GRID)
    folder = prepare_case(case, STILL, tmp_path / "out")
    assert folder == tmp_path / "out" / "case_a"
    prepared = load_prepared(folder)
    shape = prepared.grid.shape
    assert all(n % 16 == 0 for n in shape)
    for side in ("fixed", "moving"):
        image, mask, roi = (prepared.array(f"{side}{what}") for what in ("", "_mask", "_roi"))
        assert (image.dtype, image.shape) == (np.float16, (1, *shape))
        assert mask.dtype == roi.dtype == np.bool_
        assert image.min() == 0
        assert image.max() == 1
        np.testing.assert_array_equal(image[0] > 0, mask)
    native = read_image(folder / "fixed.nii.gz", dtype=None)
    assert native.data.dtype == np.int16
    np.testing.assert_array_equal(native.data, read_image(case.fixed.images["t1ce"], dtype=None).data)
    assert native.grid.matches(GRID)
    brain = read_image(folder / "fixed_brain.nii.gz", dtype=None).data
    np.testing.assert_array_equal(brain, native.data > 0)
    assert case.moving.landmarks is not None
    marks = prepared.moving_landmarks()
    assert marks is not None
    np.testing.assert_allclose(marks.points, read_landmarks(case.moving.landmarks).points)
    record = prepared.record
    assert (record["id"], record["prealigned_by"], record["modalities"]) == ("case_a", "identity", ["t1ce"])
    assert record["sources"]["fixed"]["t1ce"]["file"] == "fixed.nii.gz"
    assert len(record["sources"]["moving"]["landmarks"]["sha256"]) == 64
    assert set(record["seconds"]) == {"load", "prealign", "write"}
    assert record["normalisation"]["fixed"]["t1ce"]["low"] < record["normalisation"]["fixed"]["t1ce"]["high"]
    assert record["settings"]["roi_voxels"] == 9


def test_the_working_grid_holds_the_scan_s_own_voxels(tmp_path: Path) -> None:
    folder = prepare_case(write_case(tmp_path / "in", GRID, GRID), STILL, tmp_path)
    prepared = load_prepared(folder)
    native = read_image(folder / "fixed.nii.gz").data
    where = np.argwhere(prepared.array("fixed_mask"))
    ijk = GRID.convert(prepared.grid.convert(where, Frame.IJK, Frame.LPS), Frame.LPS, Frame.IJK)
    np.testing.assert_allclose(ijk, np.rint(ijk), atol=1e-6)
    raw = native[tuple(np.rint(ijk).astype(int).T)]
    assert len(raw) == np.count_nonzero(native)  # every brain voxel is there once
    limits = prepared.record["normalisation"]["fixed"]["t1ce"]
    expected = np.clip(0.02 + 0.98 * (raw - limits["low"]) / (limits["high"] - limits["low"]), 0.02, 1)
    np.testing.assert_allclose(prepared.array("fixed")[0][tuple(where.T)], expected, atol=5e-4)


def spots(grid: Grid, points: np.ndarray) -> np.ndarray:
    """A flat head with a bright ball of 6 mm radius at each point."""
    image = np.where(render(grid, centre(grid)) > 0, 300.0, 0)
    index = np.stack(np.meshgrid(*[np.arange(n) for n in grid.shape], indexing="ij"), axis=-1)
    world = grid.convert(index, Frame.IJK, Frame.LPS)
    for point in points:
        image[np.linalg.norm(world - point, axis=-1) < 6] = 1000
    return image


@pytest.mark.parametrize("spacing", [None, 3.0])
def test_landmarks_lie_on_their_anatomy(tmp_path: Path, odd_grid: Grid, spacing: float | None) -> None:
    points = landmark_points(centre(odd_grid))
    scan = write_scan(tmp_path, "scan", spots(odd_grid, points), odd_grid, points)
    settings = make_settings(values={"prealign": "identity", "spacing_mm": spacing, "roi_voxels": 1})
    prepared = load_prepared(prepare_case(Case("case_a", scan, scan), settings, tmp_path / "out"))
    if spacing:
        np.testing.assert_allclose(prepared.grid.spacing, spacing)
    roi, image = prepared.array("fixed_roi"), prepared.array("fixed")[0]
    assert roi.sum() == len(points)
    assert (image[roi] > 0.6).all()
    assert np.percentile(image[prepared.array("fixed_mask")], 80) < 0.5
    np.testing.assert_array_equal(prepared.array("moving_roi"), roi)


def test_prealignment_brings_image_and_rois_over_the_fixed_ones(tmp_path: Path) -> None:
    truth = small_affine(centre(GRID))
    case = write_case(tmp_path / "in", GRID, GRID, truth)
    prepared = load_prepared(prepare_case(case, make_settings(), tmp_path / "aligned"))
    still = load_prepared(prepare_case(case, STILL, tmp_path / "still"))
    assert prepared.record["prealigned_by"] == "affine"
    points = landmark_points(centre(GRID))
    assert np.abs(prepared.prealignment(points) - truth(points)).max() < 1

    for one, start in ((prepared, prepared.prealignment), (still, AffineMap())):
        fixed, partners = one.array("landmarks").transpose(1, 0, 2)
        np.testing.assert_allclose(fixed, points, atol=1e-3)
        np.testing.assert_allclose(start(partners), truth(points), atol=1e-3)

    def agreement(one: object) -> tuple[float, float]:
        fixed, moving = (one.array(side)[0].astype(float) for side in ("fixed", "moving"))
        a, b = one.array("fixed_roi"), one.array("moving_roi")
        both = one.array("fixed_mask") & one.array("moving_mask")
        return np.corrcoef(fixed[both], moving[both])[0, 1], (a & b).sum() / (a | b).sum()

    after, before = agreement(prepared), agreement(still)
    assert before[0] < 0.7
    assert after[0] > 0.95
    assert before[1] < 0.7
    assert after[1] > 0.9


def test_hidden_test_case_has_no_fixed_roi(tmp_path: Path) -> None:
    case = write_case(tmp_path / "in", GRID, GRID)
    case = replace(case, fixed=replace(case.fixed, landmarks=None))
    prepared = load_prepared(prepare_case(case, STILL, tmp_path))
    assert not prepared.has("fixed_roi")
    assert not prepared.has("landmarks")
    assert prepared.has("moving_roi")


def test_a_given_mask_is_used(tmp_path: Path) -> None:
    case = write_case(tmp_path / "in", GRID, GRID)
    mask = render(GRID, centre(GRID)) > 0
    mask[:20] = False
    write_image(tmp_path / "mask.nii.gz", Volume(mask.astype(np.uint8), GRID))
    case = replace(case, fixed=replace(case.fixed, mask=tmp_path / "mask.nii.gz"))
    prepared = load_prepared(prepare_case(case, STILL, tmp_path))
    assert prepared.array("fixed_mask").sum() == mask.sum() < prepared.array("moving_mask").sum()
    assert prepared.record["sources"]["fixed"]["mask"]["file"] == "mask.nii.gz"


def test_scaled_integers_and_several_channels(tmp_path: Path) -> None:
    case = write_case(tmp_path / "in", GRID, GRID)
    scaled = nib.Nifti1Image(render(GRID, centre(GRID)).astype(np.int16), GRID.affine)
    scaled.header.set_slope_inter(0.25, 0)
    nib.save(scaled, tmp_path / "t2.nii.gz")
    images = {"t2": tmp_path / "t2.nii.gz", **case.fixed.images}
    case = Case("case_a", replace(case.fixed, images=images), replace(case.moving, images=images))
    settings = make_settings(values={"modalities": "t2,t1ce", "prealign": "identity"})
    folder = prepare_case(case, settings, tmp_path / "out")
    assert load_prepared(folder).array("fixed").shape[0] == 2
    native = read_image(folder / "fixed.nii.gz", dtype=None)
    expected = read_image(tmp_path / "t2.nii.gz").data
    np.testing.assert_allclose(native.data, expected, rtol=1e-6)
    assert native.data.dtype == np.float32


def test_preparing_again_replaces_and_gives_the_same_arrays(tmp_path: Path) -> None:
    case = write_case(tmp_path / "in", GRID, GRID, small_affine(centre(GRID)))
    folder = prepare_case(case, make_settings(), tmp_path)
    first = {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "prepared.json"}
    (folder / "stray.txt").write_text("x")
    assert prepare_case(case, make_settings(), tmp_path) == folder
    assert {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "prepared.json"} == first


def test_a_folder_that_is_something_else_is_not_touched(tmp_path: Path) -> None:
    case = write_case(tmp_path / "in", GRID, GRID)
    (tmp_path / "case_a").mkdir()
    (tmp_path / "case_a" / "thesis.docx").write_text("years of work")
    with pytest.raises(CohortError, match="case_a: exists and is not a prepared case"):
        prepare_case(case, STILL, tmp_path)
    assert (tmp_path / "case_a" / "thesis.docx").read_text() == "years of work"


def test_a_failure_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    case = write_case(tmp_path / "in", GRID, GRID)

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("wssamnet.preprocessing.prepare.write_image", full)
    with pytest.raises(OSError, match="No space left"):
        prepare_case(case, STILL, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_inputs_that_the_check_would_have_refused(tmp_path: Path) -> None:
    case = write_case(tmp_path / "in", GRID, GRID)
    with pytest.raises(ImageError, match="has no flair"):
        prepare_case(case, make_settings(values={"modalities": "flair"}), tmp_path)
    write_image(tmp_path / "mask.nii.gz", Volume(np.zeros(GRID.shape, np.uint8), GRID))
    with pytest.raises(ImageError, match=r"mask\.nii\.gz: holds no brain"):
        prepare_case(replace(case, fixed=replace(case.fixed, mask=tmp_path / "mask.nii.gz")), STILL, tmp_path)
    other = GRID.crop((1, 0, 0), GRID.shape)
    write_image(tmp_path / "t2.nii.gz", Volume(np.ones(GRID.shape, np.uint8), other))
    images = {**case.fixed.images, "t2": tmp_path / "t2.nii.gz"}
    with pytest.raises(GeometryError, match=r"t2\.nii\.gz: is not on the first modality's grid"):
        prepare_case(
            replace(case, fixed=replace(case.fixed, images=images)),
            make_settings(values={"modalities": "t1ce,t2"}),
            tmp_path,
        )


def test_deeper_networks_get_larger_multiples(tmp_path: Path) -> None:
    settings = make_settings(values={"prealign": "identity", "levels": 6})
    prepared = load_prepared(prepare_case(write_case(tmp_path / "in", GRID, GRID), settings, tmp_path))
    assert all(n % 32 == 0 for n in prepared.grid.shape)

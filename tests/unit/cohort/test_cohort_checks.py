"""One defect each: the check names the file, the fault and the remedy, all of them at once."""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from cohort_samples import GRID, brain, points
from wssamnet.cohort import check_cohort, examine_cohort, read_cohort
from wssamnet.errors import CohortError
from wssamnet.geometry import Frame, Grid
from wssamnet.images import Volume, write_image
from wssamnet.landmarks import Landmarks, write_landmarks

Make = Callable[..., Path]
FIXED = "BraTSReg_001/BraTSReg_001_00_0000_t1ce.nii.gz"
FIXED_T2 = "BraTSReg_001/BraTSReg_001_00_0000_t2.nii.gz"
MOVING = "BraTSReg_001/BraTSReg_001_01_0106_t1ce.nii.gz"
FIXED_CSV = "BraTSReg_001/BraTSReg_001_00_0000_landmarks.csv"
MOVING_CSV = "BraTSReg_001/BraTSReg_001_01_0106_landmarks.csv"


def problems(root: Path, modalities: tuple[str, ...] = ("t1ce", "t2")) -> tuple[str, ...]:
    with pytest.raises(CohortError) as caught:
        examine_cohort(root, modalities)
    return caught.value.problems


def damage(path: Path, how: str) -> None:
    raw = bytearray(gzip.decompress(path.read_bytes()))
    if how == "truncated":
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    elif how == "flipped bits":
        packed = bytearray(path.read_bytes())
        packed[len(packed) // 2] ^= 0xFF
        path.write_bytes(bytes(packed))
    elif how == "empty file":
        path.write_bytes(b"")
    elif how == "not gzip":
        path.write_bytes(bytes(raw))
    elif how == "lying header":
        raw[42:48] = np.array([3000, 3000, 3000], np.int16).tobytes()
        path.write_bytes(gzip.compress(bytes(raw)))
    elif how == "singular":
        raw[296:312] = bytes(16)  # srow_y
        path.write_bytes(gzip.compress(bytes(raw)))
    elif how == "too few voxels":
        path.write_bytes(gzip.compress(bytes(raw[:-100])))
    elif how == "missing":
        path.unlink()
        path.symlink_to(path)
    else:
        nib.save(odd_image(how), path)


def odd_image(how: str) -> nib.Nifti1Image:
    data, affine = brain().astype(np.float32), GRID.affine.copy()
    if how == "4-D":
        data = np.stack([data, data], axis=-1)
    elif how == "nan":
        data[3, 3, 3] = np.nan
    elif how == "constant":
        data[:] = 7
    elif how == "all zero":
        data[:] = 0
    elif how == "micrometres":
        affine[:3] /= 1000
    elif how == "huge voxels":
        affine[:3] *= 10
    elif how == "slab":
        data = data[:2]
    image = nib.Nifti1Image(data, affine)
    image.set_sform(affine, code=0 if how == "no codes" else 1)
    image.set_qform(None, code=0)
    return image


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("truncated", "truncated or damaged"),
        ("flipped bits", "truncated or damaged"),
        ("empty file", "not a readable NIfTI"),
        ("not gzip", "not a readable NIfTI"),
        ("lying header", r"claims \(3000, 3000, 3000\) voxels"),
        ("too few voxels", "truncated or damaged"),
        ("missing", "is a link that leads nowhere"),
        ("4-D", "has 4 dimensions"),
        ("nan", "holds 1 values that are NaN"),
        ("constant", "every voxel is 7"),
        ("all zero", "every voxel is 0"),
        ("singular", "singular"),
        ("micrometres", r"voxels of 0\.008 x 0\.008 x 0\.008 mm"),
        ("huge voxels", "voxels of 80 x 80 x 80 mm"),
        ("slab", "covers 16 x 176 x 144 mm"),
        ("no codes", "neither sform nor qform"),
    ],
)
def test_a_bad_image_is_one_line_that_names_it(make_cohort: Make, how: str, said: str) -> None:
    root = make_cohort(2)
    damage(root / FIXED, how)
    found = problems(root, ("t1ce",))
    assert len(found) == 1
    assert re.search(said, found[0])
    assert "BraTSReg_001" in found[0]
    assert "\n" not in found[0]


def test_a_sound_cohort_passes(make_cohort: Make) -> None:
    cases = examine_cohort(make_cohort(2), ("t1ce", "t2"))
    assert len(cases) == 2
    check_cohort(cases, ("t2",))


def test_every_problem_of_every_case_is_listed_at_once(make_cohort: Make) -> None:
    root = make_cohort(3)
    damage(root / FIXED, "truncated")
    damage(root / MOVING, "nan")
    (root / "BraTSReg_002" / "BraTSReg_002_00_0000_t2.nii.gz").unlink()
    for path in (root / "BraTSReg_003").glob("*_01_*"):
        path.unlink()
    found = problems(root)
    assert len(found) == 4
    assert [any(name in line for line in found) for name in (FIXED, MOVING, "BraTSReg_002", "BraTSReg_003")] == [
        True
    ] * 4


def test_only_the_modalities_asked_for_count(make_cohort: Make) -> None:
    root = make_cohort(1)
    damage(root / FIXED_T2, "truncated")
    assert len(examine_cohort(root, ("t1ce",))) == 1
    assert "truncated" in problems(root, ("t1ce", "t2"))[0]
    assert problems(root, ("flair",)) == ("modalities: no scan of the cohort has flair (they have t1ce, t2)",)


@pytest.mark.parametrize("what", ["shape", "affine"])
def test_modalities_of_one_time_point_share_a_grid(make_cohort: Make, what: str) -> None:
    root = make_cohort(1)
    if what == "shape":
        write_image(root / FIXED_T2, Volume(brain()[:-1], GRID.crop((0, 0, 0), (19, 22, 18))))
    else:
        write_image(root / FIXED_T2, Volume(brain(), GRID.crop((0, 0, 1), GRID.shape)))
    (line,) = problems(root)
    assert line.startswith(str(root / FIXED_T2))
    assert f"is not on the grid of {root / FIXED}" in line
    assert ("(19, 22, 18) voxels against (20, 22, 18)" if what == "shape" else "their affines differ") in line


def test_a_mask_must_fit_and_not_be_empty(make_cohort: Make) -> None:
    root = make_cohort(1)
    mask = root / FIXED.replace("t1ce", "mask")
    write_image(mask, Volume((brain() > 0).astype(np.uint8), GRID))
    assert examine_cohort(root, ("t1ce",))[0].fixed.mask == mask
    write_image(mask, Volume(np.zeros(GRID.shape, np.uint8), GRID))
    assert "every voxel is 0 (1 in the brain, 0 outside)" in problems(root)[0]
    write_image(mask, Volume((brain()[:-1] > 0).astype(np.uint8), GRID.crop((0, 0, 0), (19, 22, 18))))
    assert "is not on the grid of" in problems(root)[0]


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (brain() == 0, "is mostly where the image is 0 (1 in the brain, 0 outside)"),
        (0.4 * (brain() > 0), "no voxel is above 0.5 (1 in the brain, 0 outside)"),
        (
            np.arange(GRID.shape[0])[:, None, None] * (brain() > 0) > 14,
            "leaves out 5 of 5 landmarks (1 in the brain, 0 outside)",
        ),
        (
            (np.arange(GRID.shape[2]) == 9) * (brain() > 0),
            "covers 128 x 144 x 8 mm (a brain: at least 20 mm along each axis)",
        ),
    ],
    ids=["inverted", "faint", "of something small", "one slice"],
)
def test_a_mask_must_be_of_the_brain(make_cohort: Make, given: np.ndarray, says: str) -> None:
    root = make_cohort(1)
    mask = root / FIXED.replace("t1ce", "mask")
    write_image(mask, Volume(given.astype(np.float32), GRID))
    (line,) = problems(root)
    assert line.startswith(f"{mask}: {says}")


def test_scans_that_share_no_space(make_cohort: Make) -> None:
    root = make_cohort(1, modalities=("t1ce",))
    far = GRID.crop((100, 0, 0), GRID.shape)
    write_image(root / MOVING, Volume(brain(), far))
    write_landmarks(root / MOVING_CSV, Landmarks(points().ids, points().points + 100 * far.lps_affine[:3, 0]))
    (line,) = problems(root, ("t1ce",))
    assert "does not overlap the fixed scan" in line


@pytest.mark.parametrize(
    ("how", "said"),
    [
        (
            "voxels",
            "(they look like voxel indices; LPS millimetres, or say --landmark-coordinates voxel)",
        ),
        (
            "ras",
            "(they look like RAS millimetres; LPS millimetres, or say --landmark-coordinates ras)",
        ),
        (
            "far",
            "all 5 landmarks lie outside the image (LPS millimetres; the image reaches from X 0 to 152, Y -239 to -71",
        ),
        ("one", "1 of 5 landmarks lie outside the image: 2"),
        ("air", "5 of 5 landmarks lie on background"),
        ("header", "the header is 'id;x;y;z'"),
        ("twice", "landmark 2 occurs twice"),
        ("empty", "holds no landmark"),
        ("decimal commas", "line 2 has 7 values"),
    ],
)
def test_bad_landmarks(make_cohort: Make, how: str, said: str) -> None:
    root = make_cohort(1)
    marks, path = points(), root / FIXED_CSV
    moved = marks.points.copy()
    if how == "voxels":
        moved = GRID.convert(moved, Frame.LPS, Frame.IJK)
    elif how == "ras":
        moved = moved * (-1, -1, 1)
    elif how == "far":
        moved = moved + 1000
    elif how == "one":
        moved[1] += 1000
    elif how == "air":
        moved = GRID.convert(np.array([[0, 0, n] for n in range(5)]), Frame.IJK, Frame.LPS)
    write_landmarks(path, Landmarks(marks.ids, moved))
    text = path.read_text()
    if how == "header":
        path.write_text(text.replace("Landmark,X,Y,Z", "id;x;y;z"))
    elif how == "twice":
        path.write_text(text.replace("\n3,", "\n2,"))
    elif how == "empty":
        path.write_text("Landmark,X,Y,Z\n")
    elif how == "decimal commas":
        path.write_text(text.replace(".", ","))
    (line,) = problems(root)
    assert line.startswith(str(path))
    assert said in line


def test_ids_must_match_between_the_scans(make_cohort: Make) -> None:
    root = make_cohort(1)
    write_landmarks(root / MOVING_CSV, Landmarks((1, 2, 3, 4, 9), points().points))
    assert problems(root) == (
        f"{root / FIXED_CSV}: landmarks 5 are not in the other scan's file (the same ids in both)",
        f"{root / MOVING_CSV}: landmarks 9 are not in the other scan's file (the same ids in both)",
    )


def test_only_moving_landmarks_are_fine_and_only_fixed_ones_are_not(make_cohort: Make) -> None:
    root = make_cohort(2)
    (root / FIXED_CSV).unlink()
    assert not examine_cohort(root, ("t1ce",))[0].has_reference
    (root / "BraTSReg_002" / "BraTSReg_002_01_0143_landmarks.csv").unlink()
    (line,) = problems(root)
    assert "case 'BraTSReg_002': has fixed landmarks but no moving ones" in line


@pytest.mark.parametrize("name", ["../escape", "a/b", "", ".hidden", "with space", "naïve", "-rf", "x" * 101, "a\nb"])
def test_ids_that_cannot_name_a_folder(make_cohort: Make, name: str) -> None:
    (case,) = read_cohort(make_cohort(1), ["t1ce"])
    with pytest.raises(CohortError, match="cannot name a folder everywhere"):
        check_cohort([replace(case, id=name)], ["t1ce"])


@pytest.mark.parametrize("other", ["BraTSReg_001", "brATSREG_001"])
def test_ids_occur_once_in_either_case(make_cohort: Make, other: str) -> None:
    cases = read_cohort(make_cohort(2), ["t1ce"])
    with pytest.raises(CohortError, match="'BraTSReg_001': the id occurs more than once"):
        check_cohort([cases[0], replace(cases[1], id=other)], ["t1ce"])


def test_one_file_for_both_scans(make_cohort: Make) -> None:
    (case,) = read_cohort(make_cohort(1), ["t1ce"])
    with pytest.raises(CohortError, match=r"t1ce\.nii\.gz: is given for both the fixed and the moving scan"):
        check_cohort([replace(case, moving=replace(case.moving, images=case.fixed.images))], ["t1ce"])


def test_no_case() -> None:
    with pytest.raises(CohortError, match="holds no case"):
        check_cohort([], ["t1ce"])


def test_odd_but_valid_grids_pass(make_cohort: Make, odd_grid: Grid) -> None:
    root = make_cohort(1, modalities=("t1ce",))
    for image, marks in ((FIXED, FIXED_CSV), (MOVING, MOVING_CSV)):
        data = np.random.default_rng(0).integers(1, 9, odd_grid.shape).astype(np.float64)
        write_image(root / image, Volume(data, odd_grid))
        ijk = np.array([[3, 4, 5], [15, 12, 9]])
        write_landmarks(root / marks, Landmarks((1, 2), odd_grid.convert(ijk, Frame.IJK, Frame.LPS)))
    assert len(examine_cohort(root, ("t1ce",))) == 1


@pytest.mark.parametrize("patient", ["BraTSReg_001", ""])
def test_a_scan_in_two_cases_wants_one_patient(make_cohort: Make, tmp_path: Path, patient: str) -> None:
    root = make_cohort(1)
    sheet = tmp_path / "sheet.csv"
    files = f"cohort/{FIXED},cohort/{MOVING},cohort/{FIXED_CSV},cohort/{MOVING_CSV}"
    rows = [f"{case},{patient},{files}" for case in ("BraTSReg_001", "again")]
    head = "case,patient,fixed_t1ce,moving_t1ce,fixed_landmarks,moving_landmarks"
    sheet.write_text("\n".join((head, *rows)) + "\n", encoding="utf-8")
    if patient:
        assert [case.patient for case in examine_cohort(sheet, ["t1ce"])] == [patient] * 2
        return
    with pytest.raises(CohortError) as caught:
        examine_cohort(sheet, ["t1ce"])
    assert len(caught.value.problems) == 4, "each file once"
    assert f"{root / FIXED}: is given for cases BraTSReg_001 and again" in caught.value.problems[0]

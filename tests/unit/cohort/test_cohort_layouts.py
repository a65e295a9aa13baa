"""The challenge's folders: what counts as a case, and what is said where it cannot be told."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from wssamnet.cohort import check_cohort, read_cohort
from wssamnet.cohort.layouts import find_cases
from wssamnet.errors import CohortError

Make = Callable[..., Path]


def test_days_are_arbitrary_and_all_files_are_found(make_cohort: Make) -> None:
    cases = read_cohort(make_cohort(2), ["t1ce"])
    assert [case.id for case in cases] == ["BraTSReg_001", "BraTSReg_002"]
    assert cases[0].moving.images["t1ce"].name == "BraTSReg_001_01_0106_t1ce.nii.gz"
    assert sorted(cases[0].fixed.images) == ["t1ce", "t2"]
    assert cases[1].fixed.landmarks is not None
    assert cases[1].fixed.landmarks.name == "BraTSReg_002_00_0000_landmarks.csv"
    assert cases[0].trainable


@pytest.mark.parametrize("place", ["parent", "case", "grandparent"])
def test_a_folder_above_or_one_case_will_do(make_cohort: Make, tmp_path: Path, place: str) -> None:
    root = make_cohort(1, root=tmp_path / "data" / "cohort")
    source = {"parent": root.parent, "case": root / "BraTSReg_001", "grandparent": root}[place]
    assert [case.id for case in read_cohort(source, ["t1ce"])] == ["BraTSReg_001"]


def test_other_folders_and_files_are_passed_over(make_cohort: Make) -> None:
    root = make_cohort(1)
    (root / "truth").mkdir()
    (root / "truth" / "BraTSReg_001_fixed_to_moving.nii.gz").write_bytes(b"")
    (root / "README.txt").write_text("hello")
    (root / "BraTSReg_001" / "notes.txt").write_text("hello")
    (root / ".hidden").mkdir()
    (root / "loop").symlink_to(root)
    assert len(read_cohort(root, ["t1ce"])) == 1


@pytest.mark.parametrize("what", ["t1ce.nii.gz", "landmarks.csv", "mask.nii.gz"])
def test_a_link_that_leads_nowhere_is_a_file_of_the_case(make_cohort: Make, what: str) -> None:
    root = make_cohort(1)
    path = root / "BraTSReg_001" / f"BraTSReg_001_00_0000_{what}"
    path.unlink(missing_ok=True)
    path.symlink_to("content-that-was-not-fetched")
    (case,) = read_cohort(root, ["t1ce"])
    with pytest.raises(CohortError, match=rf"{path.name}: is a link that leads nowhere"):
        check_cohort([case], ["t1ce"])


def test_a_case_that_would_be_lost_is_named(make_cohort: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    root = make_cohort(4)
    for path in (root / "BraTSReg_002").iterdir():
        path.rename(path.with_name(path.name.replace("t1ce", "t1gd").replace("t2", "t2star").replace("csv", "txt")))
    shutil.rmtree(root / "BraTSReg_003")
    (root / "BraTSReg_003").symlink_to("disk-that-is-not-mounted")
    (root / "notes").symlink_to("elsewhere")
    locked = root / "BraTSReg_004"
    shutil.rmtree(locked)
    locked.mkdir()
    access = os.access
    monkeypatch.setattr("os.access", lambda path, mode: Path(path) != locked and access(path, mode))
    problems = find_cases(root, ["t1ce"]).problems
    assert [line.removeprefix(f"{root}/").split(" (")[0] for line in problems] == [
        "BraTSReg_002: has images named t1gd, t2star alone",
        "BraTSReg_003: is a link that leads nowhere",
        "BraTSReg_004: cannot be read",
        "notes: is a link that leads nowhere",
    ]


@pytest.mark.parametrize("moved", ["BraTSReg_002", "files of BraTSReg_002"])
def test_cases_on_two_levels_are_not_dropped(make_cohort: Make, moved: str) -> None:
    root = make_cohort(3)
    if moved == "BraTSReg_002":
        (root / "site_b").mkdir()
        (root / moved).rename(root / "site_b" / moved)
        lost = [root / "site_b" / moved]
    else:
        for path in (root / "BraTSReg_002").iterdir():
            path.rename(root / path.name)
        (root / "BraTSReg_002").rmdir()
        lost = [root / "BraTSReg_001", root / "BraTSReg_003"]
    problems = find_cases(root, ["t1ce"]).problems
    assert [line.split(", a level below ")[0] for line in problems] == [f"{path}: holds {path.name}" for path in lost]
    assert all(line.endswith(" (all cases' folders side by side, or a samplesheet)") for line in problems)


def test_results_of_the_same_cases_beside_them_are_passed_over(make_cohort: Make) -> None:
    root = make_cohort(2)
    shutil.copytree(root / "BraTSReg_001", root / "denoised" / "BraTSReg_001")
    shutil.copytree(root / "BraTSReg_001", root / "BraTSReg_002" / "earlier" / "BraTSReg_001")
    assert [case.id for case in read_cohort(root, ["t1ce"])] == ["BraTSReg_001", "BraTSReg_002"]


def test_a_lesion_lies_beside_the_folders(make_cohort: Make) -> None:
    root = make_cohort(2)
    (root / "truth").mkdir()
    lesion = root / "truth" / "BraTSReg_002_lesion.nii.gz"
    lesion.write_bytes(b"")
    assert [case.lesion for case in read_cohort(root, ["t1ce"])] == [None, lesion]
    (alone,) = read_cohort(root / "BraTSReg_002", ["t1ce"])
    assert alone.lesion is None, "it lies outside of what was named"


def test_hidden_test_layout_has_no_fixed_landmarks(make_cohort: Make) -> None:
    root = make_cohort(1)
    (root / "BraTSReg_001" / "BraTSReg_001_00_0000_landmarks.csv").unlink()
    (case,) = read_cohort(root, ["t1ce"])
    assert case.fixed.landmarks is None
    assert case.moving.landmarks is not None
    assert not case.has_reference


def test_two_follow_ups_are_named_and_not_guessed(make_cohort: Make) -> None:
    folder = make_cohort(1) / "BraTSReg_001"
    shutil.copy(folder / "BraTSReg_001_01_0106_t1ce.nii.gz", folder / "BraTSReg_001_02_0300_t1ce.nii.gz")
    with pytest.raises(CohortError, match=r"2 follow-up scans, 01_0106, 02_0300 \(keep one.*samplesheet"):
        read_cohort(folder.parent, ["t1ce"])


@pytest.mark.parametrize(("gone", "wanted"), [("_00_", "baseline"), ("_01_", "follow-up")])
def test_a_missing_time_point(make_cohort: Make, gone: str, wanted: str) -> None:
    folder = make_cohort(2) / "BraTSReg_002"
    for path in folder.glob(f"*{gone}*"):
        path.unlink()
    with pytest.raises(CohortError, match=f"BraTSReg_002: has no {wanted} scan") as caught:
        read_cohort(folder.parent, ["t1ce"])
    assert len(caught.value.problems) == 1


def test_files_of_two_cases_in_one_folder(make_cohort: Make) -> None:
    root = make_cohort(2)
    stray = root / "BraTSReg_002" / "BraTSReg_002_00_0000_t1ce.nii.gz"
    shutil.copy(stray, root / "BraTSReg_001")
    with pytest.raises(CohortError, match="files of several cases, BraTSReg_001, BraTSReg_002"):
        read_cohort(root, ["t1ce"])


def test_one_image_as_nii_and_nii_gz(make_cohort: Make) -> None:
    folder = make_cohort(1) / "BraTSReg_001"
    (folder / "BraTSReg_001_00_0000_t1ce.nii").write_bytes(b"")
    with pytest.raises(CohortError, match=r"is there twice, also as BraTSReg_001_00_0000_t1ce\.nii"):
        read_cohort(folder.parent, ["t1ce"])


def test_a_mask_and_a_modality_of_ones_own(make_cohort: Make) -> None:
    folder = make_cohort(1) / "BraTSReg_001"
    for name in ("mask", "adc"):
        shutil.copy(folder / "BraTSReg_001_00_0000_t1ce.nii.gz", folder / f"BraTSReg_001_00_0000_{name}.nii.gz")
    (case,) = read_cohort(folder.parent, ["adc"])
    assert case.fixed.mask is not None
    assert "adc" in case.fixed.images
    assert "mask" not in case.fixed.images


@pytest.mark.parametrize("what", ["nothing", "empty", "a file"])
def test_no_cohort_at_all(tmp_path: Path, what: str) -> None:
    source = tmp_path / "here"
    if what == "empty":
        source.mkdir()
    elif what == "a file":
        source = tmp_path / "here.nii.gz"
        source.write_bytes(b"x")
    said = {"nothing": "no such file or folder", "empty": "holds no case", "a file": "neither a folder nor"}[what]
    with pytest.raises(CohortError, match=said):
        read_cohort(source, ["t1ce"])

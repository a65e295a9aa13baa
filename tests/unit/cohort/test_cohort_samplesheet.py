"""The samplesheet: any file names, and every fault of the sheet in one line."""

from __future__ import annotations

from pathlib import Path

import pytest
from wssamnet.cohort import Case, read_cohort
from wssamnet.errors import CohortError

HEADER = "case,fixed_t1ce,moving_t1ce,fixed_landmarks,moving_landmarks,fixed_mask,moving_mask"


def write(folder: Path, text: str, encoding: str = "utf-8") -> Path:
    sheet = folder / "sheet.csv"
    sheet.write_bytes(text.encode(encoding))
    return sheet


def test_paths_are_relative_to_the_sheet_and_empty_cells_mean_none(tmp_path: Path) -> None:
    sheet = write(tmp_path, f"{HEADER}\np1,a/before one.nii.gz,/data/ü.nii.gz,a/b.csv,a/f.csv,,m.nii.gz\n")
    (case,) = read_cohort(sheet, ["t1ce"])
    assert case.id == "p1"
    assert case.fixed.images == {"t1ce": tmp_path / "a" / "before one.nii.gz"}
    assert case.moving.images == {"t1ce": Path("/data/ü.nii.gz")}
    assert case.fixed.mask is None
    assert case.moving.mask == tmp_path / "m.nii.gz"


def test_a_lesion_is_the_cases_and_no_image(tmp_path: Path) -> None:
    text = "case,fixed_t1ce,moving_t1ce,fixed_lesion\np1,f.nii,m.nii,les.nii\np2,f.nii,m.nii,\n"
    first, second = read_cohort(write(tmp_path, text), ["t1ce"])
    assert first.lesion == tmp_path / "les.nii"
    assert first.fixed.images == {"t1ce": tmp_path / "f.nii"}
    assert second.lesion is None


def test_a_patient_may_have_several_rows(tmp_path: Path) -> None:
    text = "case,patient,fixed_t1ce,moving_t1ce\na1,a,f.nii,m.nii\na2,a,f.nii,n.nii\nb,,g.nii,o.nii\n"
    cases = read_cohort(write(tmp_path, text), ["t1ce"])
    assert [case.patient for case in cases] == ["a", "a", "b"], "its own id where none is said"
    assert [Case.from_dict(case.to_dict()) for case in cases] == cases


@pytest.mark.parametrize("oddity", ["bom", "crlf", "semicolons", "tabs", "spaces", "blank lines", "capitals"])
def test_what_spreadsheets_do_is_accepted(tmp_path: Path, oddity: str) -> None:
    text = f"{HEADER}\np1,f.nii,m.nii,f.csv,m.csv,,\n"
    text = {
        "bom": "\ufeff" + text,
        "crlf": text.replace("\n", "\r\n"),
        "semicolons": text.replace(",", ";"),
        "tabs": text.replace(",", "\t"),
        "spaces": text.replace(",", " , "),
        "blank lines": text.replace("\n", "\n\n,,\n"),
        "capitals": text.replace(HEADER, HEADER.upper()),
    }[oddity]
    (case,) = read_cohort(write(tmp_path, text), ["t1ce"])
    assert case.fixed.images == {"t1ce": tmp_path / "f.nii"}
    assert case.moving.landmarks == tmp_path / "m.csv"


def test_order_of_the_sheet_is_kept(tmp_path: Path) -> None:
    sheet = write(tmp_path, "case,fixed_t1,moving_t1\nb,1,2\na,3,4\n")
    assert [case.id for case in read_cohort(sheet, ["t1"])] == ["b", "a"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"),
        (f"{HEADER}\n", "no row below the header"),
        ("subject,fixed_t1ce\np1,x\n", "column 'subject' is not known"),
        ("case,patients,fixed_t1ce\na,p1,x\n", r"column 'patients' is not known \(did you mean patient\?"),
        ("case,fixed_t1ce,movingt1ce\np1,x,y\n", r"column 'movingt1ce' is not known \(did you mean moving_t1ce\?"),
        ("case,fixed_t1ce,fixed_masks\np1,x,y\n", r"column 'fixed_masks' is not known \(did you mean fixed_mask\?"),
        ("case,fixed_t1ce,moving_landmark\np1,x,y\n", r"'moving_landmark' is not known .*mean moving_landmarks\?"),
        ("case,fixed_t1ce,moving_lesion\np1,x,y\n", r"column 'moving_lesion' is not used \(fixed_lesion"),
        ("case,patient,fixed_t1ce\na,P1,x\nb,p1,y\n", "patients P1 and p1 differ in capitals alone"),
        ("case,patient,fixed_t1ce\nP1,,x\nb,p1,y\n", "patients P1 and p1 differ in capitals alone"),
        ("case,fixed_t1ce,fixed_t1ce\np1,x,y\n", "column 'fixed_t1ce' occurs twice"),
        ("fixed_t1ce,moving_t1ce\nx,y\n", "has no column 'case'"),
        ("case,fixed_t1ce\np1,x,y,z\n", "row 2 has 4 values for 2 columns"),
        ("case,fixed_t1ce\n,x\n", "row 2 has no case id"),
        ("case,fixed_t1ce\n\n\np1,x\n,x\n", "row 5 has no case id"),
    ],
)
def test_faults_of_the_sheet(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(CohortError, match=said):
        read_cohort(write(tmp_path, text), ["t1ce"])


def test_a_sheet_in_another_encoding_is_refused(tmp_path: Path) -> None:
    sheet = write(tmp_path, "case,fixed_t1\nmüller,ö\n", encoding="latin-1")
    with pytest.raises(CohortError, match="cannot be read as text"):
        read_cohort(sheet, ["t1"])


def test_every_fault_is_listed(tmp_path: Path) -> None:
    sheet = write(tmp_path, "case,fixed_t1\n,x\np,y,z\n")
    with pytest.raises(CohortError) as caught:
        read_cohort(sheet, ["t1"])
    assert len(caught.value.problems) == 2

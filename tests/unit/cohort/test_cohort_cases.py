"""Cases and the manifest: what is written is read back, whatever the working folder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from wssamnet.cohort import Case, check_roles, read_case, read_cohort, split_cases, write_manifest
from wssamnet.cohort.cases import Scan
from wssamnet.errors import CohortError


def test_manifest_round_trip(make_cohort: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_cohort(3)
    monkeypatch.chdir(tmp_path)
    cases = read_cohort(Path("cohort"), ["t1ce"])
    cases[1] = replace(cases[1], lesion=Path("cohort/lesion.nii.gz"))
    folds = split_cases([case.id for case in cases], folds=3, seed=1)
    write_manifest(cases, folds, "checked")
    again = read_case(tmp_path / "checked" / "cases" / "BraTSReg_002.json")
    assert again.fixed.images["t1ce"].is_absolute()
    assert again == Case.from_dict(cases[1].to_dict())
    assert again.lesion == tmp_path / "cohort" / "lesion.nii.gz"
    assert read_case(tmp_path / "checked" / "cases" / "BraTSReg_001.json").lesion is None
    lines = (tmp_path / "checked" / "splits.csv").read_text().splitlines()
    assert lines[0] == "fold,case,role"
    assert len(lines) == 1 + 9
    assert sum(line.endswith(",test") for line in lines) == 3
    assert f"1,{folds[0].test[0]},test" in lines
    foreign = tmp_path / "checked" / "cases" / "sidecar.json"
    foreign.write_text('{"EchoTime": 0.03}')
    write_manifest(cases[:2], [], "checked")  # one has left the cohort
    left = sorted(path.stem for path in (tmp_path / "checked" / "cases").iterdir())
    assert left == ["BraTSReg_001", "BraTSReg_002", "sidecar"]


def test_a_link_keeps_the_ending_by_which_its_file_is_read(tmp_path: Path) -> None:
    for target in ("blob", "scan.nii.gz"):  # as content-addressed stores have it, and as people link
        (tmp_path / target).touch()
        (tmp_path / f"to_{target}.nii.gz").symlink_to(target)
    content = Scan({"t1": tmp_path / "to_blob.nii.gz", "t2": tmp_path / "to_scan.nii.gz.nii.gz"}).to_dict()["images"]
    assert content == {"t1": str(tmp_path / "to_blob.nii.gz"), "t2": str(tmp_path / "scan.nii.gz")}


@pytest.mark.parametrize("content", [None, "", "[]", "3", '{"id": "a"}', '{"id": "a", "fixed": 1, "moving": {}}'])
def test_a_file_that_is_no_case(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "case.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(CohortError, match=r"case\.json: (does not describe a case|No such file)"):
        read_case(path)


def test_training_needs_both_landmark_files_and_testing_does_not(make_cohort: Callable[..., Path]) -> None:
    root = make_cohort(3)
    (root / "BraTSReg_002" / "BraTSReg_002_00_0000_landmarks.csv").unlink()
    cases = read_cohort(root, ["t1ce"])
    ids = [case.id for case in cases]
    assert check_roles(cases, split_cases(ids, test_cases=["BraTSReg_002"])) == ("BraTSReg_002",)
    assert check_roles(cases[::2], split_cases(ids[::2], test_cases=["BraTSReg_001"])) == ()
    with pytest.raises(CohortError, match="'BraTSReg_002': is a training case without landmarks of both scans"):
        check_roles(cases, split_cases(ids, test_cases=["BraTSReg_001"]))

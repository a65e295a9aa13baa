"""The paper's table from evaluations: figures, formats, and cases that are missing."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from wssamnet.errors import SettingsError, WssamnetError
from wssamnet.evaluation import write_tables
from wssamnet.evaluation.tables import Table


def _evaluation(root: Path, method: str, case: str, final: list[float] | None, **changes: Any) -> Path:
    """An evaluation of landmarks with initial errors 4, 6 and 8 mm."""
    initial = np.array([4.0, 6.0, 8.0])

    def summary(values: Any) -> dict[str, float]:
        return {"median": float(np.median(values)), "mean": float(np.mean(values)), "max": float(np.max(values))}

    after = None if final is None else np.array(final)
    share = None if after is None else float((after < initial).mean())
    kind = {
        "initial": summary(initial),
        "final": None if after is None else summary(after),
        "robustness": None if after is None else {"share": share, "improved": 0, "total": 3, "zero_initial": 0},
    }
    double = json.loads(json.dumps(kind))
    if after is not None:
        double["final"] = summary(after * 2)
    metrics = {
        "method": method,
        "case": case,
        "landmarks": 3,
        "errors": {"euclidean": kind, "l1": double},
        "regularity": {"folding": 0.01, "sd_log_jacobian": 0.1, "smallest": 0, "largest": 2, "voxels": 100},
        "problems": [] if final is not None else ["no warped landmarks"],
        "preparation": {"prealigned_by": "affine", "seconds": {"prealign": 1.5}},
        "run": {"seconds": {"register": 30.0}, "device": "cpu", "threads": 2, "prealigned_by": "affine"},
    }
    folder = root / method / case
    folder.mkdir(parents=True)
    (folder / "metrics.json").write_text(json.dumps(metrics | changes))
    return folder


@pytest.fixture
def evaluations(tmp_path: Path) -> list[Path]:
    """Two cases by ``identity``; ``ants`` succeeds on one, fails on the second; ``mine`` lacks the second."""
    root = tmp_path / "evaluation"
    return [
        _evaluation(root, "mine", "a", [1, 2, 9]),
        _evaluation(root, "ants", "a", [1, 2, 3]),
        _evaluation(root, "ants", "b", None),
        _evaluation(root, "identity", "a", [4, 6, 8]),
        _evaluation(root, "identity", "b", [4, 6, 8]),
    ]


def test_a_time_on_an_unknown_device_is_not_cpu_time(evaluations: list[Path], tmp_path: Path) -> None:
    run = {"seconds": {"register": 5.0}, "device": None, "threads": None}  # as another tool's result may say
    other = _evaluation(tmp_path / "evaluation", "other", "a", [1, 2, 3], run=run)
    table = json.loads((write_tables([*evaluations, other], tmp_path / "tables") / "table1.json").read_text())
    assert "Mean time" in {row["label"] for row in table["rows"]}
    assert any("other on unknown device, unknown threads" in note for note in table["notes"])


def test_what_is_being_written_is_not_read(evaluations: list[Path], tmp_path: Path) -> None:
    shutil.copytree(evaluations[0], evaluations[0].with_name(".0badcafe.new.a"))
    write_tables([tmp_path / "evaluation"], tmp_path / "tables")  # twice the same case would be refused


def test_the_rows_are_the_papers(evaluations: list[Path], tmp_path: Path) -> None:
    out = write_tables(evaluations, tmp_path / "tables")
    table = pd.read_csv(out / "table1.csv")
    assert table["row"].tolist()[:6] == [
        "Median of median AE",
        "Mean of median AE",
        "Median of mean AE",
        "Mean of mean AE",
        "Mean robustness",
        "Median robustness",
    ]
    reference = "WSSAMNet (paper, 20 validation pairs)"
    assert table.columns.tolist()[2:9] == [
        "before registration",
        "identity",
        "ants",
        "mine",
        "ANTs (paper, 20 validation pairs)",
        "VoxelMorph (paper, 20 validation pairs)",
        reference,
    ]
    assert table[reference].tolist()[:6] == [5.0, 8.37, 6.68, 9.09, 0.32, 0.28]
    assert table["before registration"].tolist()[:4] == [6, 6, 6, 6]
    assert table["mine"].tolist()[:6] == pytest.approx([2, 2, 4, 4, 2 / 3, 2 / 3], rel=1e-5)
    assert table["identity"].tolist()[4] == 0
    by_name = table.set_index(table["row"] + " " + table["unit"].fillna(""))
    assert by_name.loc["Mean time on CPU s", "mine"] == 30
    assert by_name.loc["Mean time on CPU min", "mine"] == 0.5
    assert by_name.loc["Mean share of folding voxels %", "mine"] == 1
    assert table["n identity"].tolist()[0] == 2
    assert table["n mine"].tolist()[0] == 1
    assert by_name.loc["Mean time on CPU s", "n ants"] == 2  # time is known of both, the errors of one
    assert table["n ants"].tolist()[0] == 1


def test_the_kind_of_error_is_a_choice_and_is_written(evaluations: list[Path], tmp_path: Path) -> None:
    out = write_tables(evaluations, tmp_path / "tables", "l1")
    assert pd.read_csv(out / "table1.csv")["mine"][0] == 4
    assert "(l1)" in (out / "table1.md").read_text()
    assert set(pd.read_csv(out / "per_case.csv")["error"]) == {"l1"}
    with pytest.raises(SettingsError, match="'linf' is not a kind of error"):
        write_tables(evaluations, tmp_path / "other", "linf")


def test_missing_and_failed_cases_are_shown(evaluations: list[Path], tmp_path: Path) -> None:
    out = write_tables(evaluations, tmp_path / "tables")
    cases = pd.read_csv(out / "per_case.csv").set_index(["method", "case"])
    assert len(cases) == 6
    assert cases["status"].to_dict() == {
        ("identity", "a"): "ok",
        ("identity", "b"): "ok",
        ("ants", "a"): "ok",
        ("ants", "b"): "incomplete",
        ("mine", "a"): "ok",
        ("mine", "b"): "missing",
    }
    assert np.isnan(cases.loc[("mine", "b"), "median"])
    assert cases.loc[("mine", "b"), "initial_median"] == 6
    text = (out / "table1.md").read_text()
    assert "2.00 (n=1)" in text
    assert "- ants, b: incomplete (no warped landmarks)." in text
    assert "- mine, b: missing (no evaluation of this case)." in text


def _plan(path: Path, *rows: tuple[str, str, str]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([("method", "case", "reason"), *rows])
    return path


def test_what_was_planned_is_missing_with_its_reason(evaluations: list[Path], tmp_path: Path) -> None:
    names = [f"c{number}" for number in range(6)]
    plan = _plan(
        tmp_path / "planned.csv",
        ("ants", "a", ""),
        ("mine", "b", 'RuntimeError: "no" overlap, at all'),
        *(("voxelmorph", case, "training failed: not finite") for case in ("a", "b", *names)),
        ("identity", "c0", ""),
    )
    out = write_tables(evaluations, tmp_path / "tables", planned=plan)
    cases = pd.read_csv(out / "per_case.csv").set_index(["method", "case"])
    assert len(cases) == 4 * 8
    assert set(cases.loc["voxelmorph", "status"]) == {"missing"}
    assert set(cases.loc["voxelmorph", "problems"]) == {"training failed: not finite"}
    assert cases.loc[("mine", "b"), "problems"] == 'RuntimeError: "no" overlap, at all'
    assert cases.loc[("identity", "c0"), "problems"] == "no evaluation of this case"
    assert cases.loc[("voxelmorph", "a"), "initial_median"] == 6

    table = pd.read_csv(out / "table1.csv")
    assert table["voxelmorph"].isna().all()
    assert (table["n voxelmorph"] == 0).all()
    assert table["n before registration"].tolist()[:4] == [2, 2, 2, 2]
    lines = (out / "table1.md").read_text(encoding="utf-8").splitlines()
    assert lines[0].split("|")[5].strip() == "voxelmorph"
    assert {line.split("|")[5].strip() for line in lines[2:12]} == {"missing (n=0)"}
    assert "6.00 (n=2)" in lines[2], "identity's figure says that it does not rest on every case"
    assert "- voxelmorph, all 8 cases: missing (training failed: not finite)." in lines
    assert '- mine, b: missing (RuntimeError: "no" overlap, at all).' in lines
    assert "- identity, c0, c1, c2, c3, c4, c5: missing (no evaluation of this case)." in lines
    assert not any("voxelmorph on" in line for line in lines), "it ran on no machine"

    # pairs rest on the cases that both have: identity has a and b, ants the errors of a alone
    rows = pd.read_csv(out / "statistics.csv", keep_default_na=False)
    counts = {(row.method, row.against): row.n for row in rows[rows["metric"] == "median"].itertuples()}
    assert counts["ants", "identity"] == counts["mine", "ants"] == 1
    assert counts["voxelmorph", ""] == counts["voxelmorph", "identity"] == 0
    assert counts["identity", ""] == 2


def test_a_plan_that_is_fulfilled_changes_nothing(evaluations: list[Path], tmp_path: Path) -> None:
    plan = _plan(tmp_path / "planned.csv", *((*path.parts[-2:], "") for path in evaluations))
    with_plan = write_tables(evaluations, tmp_path / "1", planned=plan)
    without = write_tables(evaluations, tmp_path / "2")
    for path in with_plan.iterdir():
        assert path.read_bytes() == (without / path.name).read_bytes()


def test_faulty_plans_are_refused(evaluations: list[Path], tmp_path: Path) -> None:
    plan = tmp_path / "planned.csv"
    with pytest.raises(WssamnetError, match="cannot be read"):
        write_tables(evaluations, tmp_path / "tables", planned=plan)
    plan.write_text("method,case\nants,a\n")
    with pytest.raises(WssamnetError, match="has no column reason"):
        write_tables(evaluations, tmp_path / "tables", planned=plan)
    with pytest.raises(WssamnetError, match="line 2 names no method or no case"):
        write_tables(evaluations, tmp_path / "tables", planned=_plan(plan, ("", "a", "")))
    with pytest.raises(WssamnetError, match="ants on a occurs twice"):
        write_tables(evaluations, tmp_path / "tables", planned=_plan(plan, ("ants", "a", ""), ("ants", "a", "x")))
    assert not (tmp_path / "tables").exists()


def test_without_any_evaluation_there_is_no_table(tmp_path: Path) -> None:
    plan = _plan(tmp_path / "planned.csv", ("ants", "a", "diverged"))
    with pytest.raises(WssamnetError, match=r"none of 1 planned registrations succeeded \(diverged\)"):
        write_tables([], tmp_path / "tables", planned=plan)
    with pytest.raises(WssamnetError, match="there is no evaluation"):
        write_tables([], tmp_path / "tables")
    assert not (tmp_path / "tables").exists()


def test_what_the_method_itself_records_is_a_warning(tmp_path: Path) -> None:
    run = {"warnings": ["slow"], "worse_than_start": True, "landmark_round_trip": {"not_inverted": 2, "max_mm": 1.25}}
    _evaluation(tmp_path / "e", "ants", "a", [1, 2, 3], run=run)
    row = pd.read_csv(write_tables([tmp_path / "e"], tmp_path / "tables") / "per_case.csv").iloc[0]
    assert row["status"] == "ok"
    assert row["problems"].split("; ") == [
        "slow",
        "by the method's own measure the images are less alike than before it",
        "at 2 landmarks the two directions do not undo each other, by up to 1.25 mm",
    ]


def test_the_time_of_the_affine_start_is_told_apart(evaluations: list[Path], tmp_path: Path) -> None:
    out = write_tables(evaluations, tmp_path / "tables")
    assert "is not in the time of identity, ants, mine: 1.50 s a case." in (out / "table1.md").read_text()
    assert pd.read_csv(out / "per_case.csv")["prealign_seconds"].dropna().unique().tolist() == [1.5]


def test_a_start_that_nobody_had_is_not_told(tmp_path: Path) -> None:
    root = tmp_path / "evaluation"
    raw = {"seconds": {"register": 30.0}, "device": "cpu", "threads": 2, "prealigned_by": None}
    _evaluation(root, "other", "a", [1, 2, 3], run=raw)
    assert "affine start" not in (write_tables([root], tmp_path / "1") / "table1.md").read_text()
    _evaluation(root, "mine", "a", [1, 2, 3])
    assert "not in the time of mine: 1.50 s" in (write_tables([root], tmp_path / "2") / "table1.md").read_text()
    asked = {"prealigned_by": "identity", "seconds": {"prealign": 0.0004}}
    _evaluation(tmp_path / "asked", "mine", "a", [1, 2, 3], preparation=asked, run=raw | {"prealigned_by": "identity"})
    text = (write_tables([tmp_path / "asked"], tmp_path / "3") / "table1.md").read_text()
    assert "affine start" not in text


def test_what_does_not_apply_is_not_missing(tmp_path: Path) -> None:
    hidden = {"landmarks": None, "errors": None}
    for method in ("identity", "ants"):
        _evaluation(tmp_path / "hidden", method, "a", [1, 2, 3], **hidden)
    text = (write_tables([tmp_path / "hidden"], tmp_path / "1") / "table1.md").read_text()
    assert "missing" not in text, "nobody knows the landmarks"

    root = tmp_path / "evaluation"
    _evaluation(root, "ants", "a", [1, 2, 3])
    alone = {"landmarks_alone": True, "seconds": {}, "device": None, "threads": None}
    _evaluation(root, "other", "a", [1, 2, 3], regularity=None, run=alone)
    lines = (write_tables([root], tmp_path / "2") / "table1.md").read_text().splitlines()
    assert {line.split("|")[4].strip() for line in lines[8:12]} == {"–"}
    assert "missing" not in "".join(lines)


def test_a_former_runs_variants_do_not_stay(evaluations: list[Path], tmp_path: Path) -> None:
    variants = tmp_path / "variants.csv"
    variants.write_text("method,variant,changes,seed,main\nmine,reference,,1,true\n")
    out = write_tables(evaluations, tmp_path / "tables", variants=variants)
    assert len(list(out.glob("ablations*"))) == 3
    write_tables(evaluations, out)
    assert not list(out.glob("ablations*"))


def test_a_method_without_any_figure_stays_in_the_table(tmp_path: Path) -> None:
    root = tmp_path / "evaluation"
    _evaluation(root, "identity", "a", [4, 6, 8])
    _evaluation(root, "ants", "a", None, regularity=None, run={})
    out = write_tables([root], tmp_path / "tables")
    first = (out / "table1.md").read_text().splitlines()[2]
    assert "missing (n=0)" in first
    assert "Without a time of their own: ants." in (out / "table1.md").read_text()


def test_same_evaluations_same_bytes(evaluations: list[Path], tmp_path: Path) -> None:
    first, second = write_tables(evaluations, tmp_path / "1"), write_tables(evaluations[::-1], tmp_path / "2")
    names = sorted(path.name for path in first.iterdir())
    assert names == [
        "per_case.csv",
        "per_landmark.csv",
        "statistics.csv",
        "table1.csv",
        "table1.json",
        "table1.md",
        "table1.tex",
    ]
    for name in names:
        assert (first / name).read_bytes() == (second / name).read_bytes()


def test_the_json_is_the_table(evaluations: list[Path], tmp_path: Path) -> None:
    out = write_tables(evaluations, tmp_path / "tables")
    table = Table.read(out / "table1.json")
    ours = [column.name for column in table.columns if not column.reference]
    assert ours == ["before registration", "identity", "ants", "mine"]
    assert table.rows[0].values[3] == 2
    with pytest.raises(WssamnetError, match="is not a table"):
        Table.read(out / "none.json")


def test_faulty_folders_are_refused(evaluations: list[Path], tmp_path: Path) -> None:
    with pytest.raises(WssamnetError, match="holds no evaluation"):
        write_tables([tmp_path / "nothing"], tmp_path / "tables")
    twin = tmp_path / "twin"
    shutil.copytree(evaluations[0], twin)
    with pytest.raises(WssamnetError, match="mine on a occurs twice"):
        write_tables([*evaluations, twin], tmp_path / "tables")
    (twin / "metrics.json").write_text("{")
    with pytest.raises(WssamnetError, match="is not an evaluation"):
        write_tables([twin], tmp_path / "tables")

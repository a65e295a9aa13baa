"""Other tools' results and a registrar of one's own in the table; what is wrong with them is told before any work."""

from __future__ import annotations

import csv
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from nextflow_calls import ROOT, Pipeline
from wssamnet.landmarks import Landmarks, read_landmarks, write_landmarks
from wssamnet.simulation import write_cohort

pytestmark = [pytest.mark.pipeline, pytest.mark.timeout(900)]

CASES = ("BraTSReg_001", "BraTSReg_002")
SHIFT = (3.0, -2.0, 1.0)
TABLES = {"TABULATE": 1, "REPORT": 1}


def _landmarks(cohort: Path, case: str) -> list[Landmarks]:
    """Of the fixed and of the moving scan."""
    return [read_landmarks(next((cohort / case).glob(f"*_{scan}_*landmarks.csv"))) for scan in ("00", "01")]


def _tool(path: Path, shift: tuple[float, ...]) -> None:
    sitk.WriteTransform(sitk.TranslationTransform(3, shift), str(path))


@pytest.fixture
def words(pipeline: Pipeline) -> list[object]:
    """A cohort, a tool that has an affine map for one of two test cases, one that has points for both, and a class."""
    cohort, results = pipeline.folder / "cohort", pipeline.folder / "other tools"
    write_cohort(cohort, cases=3, spacing_mm=6, seed=5)
    for name in ("shift", "points"):
        (results / name).mkdir(parents=True)
    _tool(results / "shift" / f"{CASES[0]}_fixed_to_moving.tfm", SHIFT)
    for case in CASES:
        write_landmarks(results / "points" / f"{case}.csv", _landmarks(cohort, case)[0])
    (results / "points" / f"{CASES[0]}_detj.nii.gz").write_bytes(b"not looked at")
    (pipeline.folder / "my").mkdir()
    code = re.findall(r"^```python\n(.*?)^```", (ROOT / "docs" / "methods.md").read_text(), re.MULTILINE | re.DOTALL)
    (pipeline.folder / "my" / "centres.py").write_text(code[0])
    return [
        *("--input", cohort, "--outdir", "out", "--test_cases", ",".join(CASES), "--methods", "identity,centres"),
        *("--external", f"shift={results}/shift,points={results}/points"),
        *("--registrar", "centres=my/centres.py:Centres", "--cases_per_task", 2, "--max_cpus", 1, "-resume"),
    ]


def test_they_stand_in_the_table_and_an_edit_repeats_what_it_concerns(pipeline: Pipeline, words: list[object]) -> None:
    answer = pipeline.run(*words, seconds=700)
    assert answer.status == 0, answer.output
    out, cohort = pipeline.folder / "out", pipeline.folder / "cohort"
    with (out / "tables" / "per_case.csv").open(encoding="utf-8") as stream:
        rows = {(row["method"], row["case"]): row for row in csv.DictReader(stream)}
    assert {method for method, _ in rows} == {"identity", "centres", "points", "shift"}
    assert {key: row["status"] for key, row in rows.items() if row["status"] != "ok"} == {
        ("shift", CASES[1]): "missing"
    }
    fixed, moving = (landmarks.points for landmarks in _landmarks(cohort, CASES[0]))
    expected = np.linalg.norm(moving - SHIFT - fixed, axis=1).mean()
    assert float(rows["shift", CASES[0]]["mean"]) == pytest.approx(expected, abs=1e-3)
    assert float(rows["shift", CASES[0]]["folding"]) == 0
    for case in CASES:
        assert float(rows["points", case]["mean"]) < 1e-3
        assert rows["points", case]["folding"] == ""
        assert float(rows["centres", case]["seconds"]) > 0
    assert rows["shift", CASES[0]]["seconds"] == ""
    table = (out / "tables" / "table1.md").read_text(encoding="utf-8")
    assert re.search(r"\| Median of median AE, mm .*\(n=1\)", table)
    assert "Without a time of their own: points, shift." in table
    assert "shift, BraTSReg_002: missing" in table
    found = {path.name for path in (out / "registration" / "shift" / CASES[0]).iterdir()}
    assert found >= {"warped.nii.gz", "fixed_to_moving.nii.gz", "moving_to_fixed.nii.gz", "run.json"}

    assert pipeline.run(*words).status == 0
    assert pipeline.again() == set()
    with (pipeline.folder / "my" / "centres.py").open("a") as stream:
        stream.write("\n# better\n")
    assert pipeline.run(*words).status == 0
    assert pipeline.started() == {"CHECK_METHODS": 1, "REGISTER": 1, "EVALUATE": 1, **TABLES}
    _tool(pipeline.folder / "other tools" / "shift" / f"{CASES[0]}_fixed_to_moving.tfm", (0.5, 0.0, 0.0))
    assert pipeline.run(*words).status == 0
    assert pipeline.started() == {"CHECK_METHODS": 1, "EXTERNAL": 1, "EVALUATE": 1, **TABLES}


def test_other_tools_alone_are_judged(pipeline: Pipeline, words: list[object]) -> None:
    alone = [word for word in words if word != "--registrar" and not str(word).startswith("centres=")]
    answer = pipeline.run(*alone, "--methods", "points,shift", seconds=700)
    assert answer.status == 0, answer.output
    assert pipeline.started()["EVALUATE"] > 0
    assert "REGISTER" not in pipeline.started()
    with (pipeline.folder / "out" / "tables" / "per_case.csv").open(encoding="utf-8") as stream:
        assert {row["method"] for row in csv.DictReader(stream)} == {"points", "shift"}
    assert (pipeline.folder / "out" / "report.html").is_file()


def test_what_cannot_be_used_is_told_before_any_work(pipeline: Pipeline, words: list[object]) -> None:
    results = pipeline.folder / "other tools"
    (results / "shift" / f"{CASES[0]}_fixed_to_moving.tfm").write_text("nonsense")
    (results / "points" / f"{CASES[1]}.csv").write_text("Landmark,X,Y,Z\n1,0,0,0\n")
    file = pipeline.folder / "my" / "centres.py"
    file.write_text("class Centre:\n    pass\n")
    answer = pipeline.run(*words)
    assert answer.status != 0
    told = answer.output.split("The run stopped in CHECK_METHODS:")[1]
    assert f"{results}/shift/{CASES[0]}_fixed_to_moving.tfm: is not a transform" in told
    assert f"{results}/points/{CASES[1]}.csv: lacks the landmarks" in told
    assert f"{file}: has no class Centres (it has Centre)" in told
    assert {process for process, _ in pipeline.trace()} == {"CHECK_COHORT", "CHECK_METHODS"}
    shutil.rmtree(results / "shift")
    answer = pipeline.run(*words, "--outdir", "other", "--methods", "identity,own")
    assert "--methods: 'identity,own' is not allowed (a list of identity, affine, ants, " in answer.output
    more = ("--outdir", "other", "--methods", "identity", "--registrar", "ants=my/centres.py:Centres")
    answer = pipeline.run(*words, *more)
    for line in (
        "'ants' is a method of this tool: another name in --external or --registrar",
        f"--external: shift={results}/shift is not a folder",
    ):
        assert line in answer.output
    assert not (pipeline.folder / "other").exists()

"""The commands of docs/methods.md run as they stand there, one after the other."""

from __future__ import annotations

import re
import shlex
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from wssamnet.cli.app import run
from wssamnet.cohort import Case, Scan
from wssamnet.evaluation.results import per_case, read_results
from wssamnet.files import write_json
from wssamnet.preprocessing.prepared import PreparedCase
from wssamnet.registration.methods import METHODS

from documents import ROOT, lines

PAGE = ROOT / "docs" / "methods.md"
TEXT = PAGE.read_text(encoding="utf-8")


def test_the_commands_run(
    make_prepared: Callable[..., PreparedCase], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = make_prepared(root=tmp_path / "prepared", shape=(20, 21, 22)).folder
    fixed = Scan({"t1ce": folder / "fixed.nii.gz"}, folder / "truth.csv", None)
    moving = Scan({"t1ce": folder / "moving.nii.gz"}, folder / "moving_landmarks.csv", None)
    write_json("cases/case_a.json", Case("case_a", fixed, moving).to_dict())
    Path("my").mkdir()
    Path("my/centres.py").write_text(re.findall(r"^```python\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)[0])
    Path("results").mkdir()
    shutil.copy(folder / "truth.csv", "results/case_a.csv")
    told = lines(PAGE, "wssamnet")
    assert len(told) == 4
    for line in told:
        monkeypatch.setattr(sys, "argv", shlex.split(line))
        with pytest.raises(SystemExit) as left:
            run()
        assert left.value.code == 0, line
    assert Path("checked/external.csv").read_text().splitlines() == [
        "method,case,file",
        "tool,case_a,results/case_a.csv",
    ]
    rows = per_case(read_results([Path("evaluation")]), "euclidean").set_index("method")
    assert list(rows["status"]) == ["ok", "ok"]
    assert rows.loc["tool", "mean"] == 0
    assert np.isfinite(rows.loc["centres", ["mean", "folding", "seconds"]].astype(float)).all()


def test_every_method_is_explained() -> None:
    assert [method for method in METHODS if not re.search(rf"^\|.*`{method}`", TEXT, re.MULTILINE)] == []

"""docs/accuracy.md: its tables are those of the files beside it, by the script that it names."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pandas as pd

from documents import ROOT, fences

SCRIPT = "benchmarks/accuracy.py"


def _printed(*words: object) -> list[str]:
    done = subprocess.run(
        [sys.executable, SCRIPT, *map(str, words)], cwd=ROOT, capture_output=True, text=True, timeout=800, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_the_tables_of_the_accuracy_page_are_those_of_its_files() -> None:
    text = (ROOT / "docs" / "accuracy.md").read_text(encoding="utf-8")
    calls = re.findall(rf"^python {SCRIPT} (.+)$", text, re.MULTILINE)
    assert calls
    for call in calls:
        printed = _printed(*shlex.split(call))
        assert len(printed) > 6
        assert [line for line in printed if line not in text.splitlines()] == [], call


def test_the_commands_of_the_accuracy_page_run(tmp_path: Path) -> None:
    """In one folder, with two small cases and a step of each training."""
    page = ROOT / "docs" / "accuracy.md"
    (block,) = (block for kind, block in fences(page.read_text(encoding="utf-8")) if kind == "bash" and "SET=" in block)
    for long, short in (("--cases 42 --spacing-mm 2", "--cases 2 --spacing-mm 8"), ("_spacing_mm=2", "_spacing_mm=8")):
        assert long in block
        block = block.replace(long, short)
    block, count = re.subn(r"_steps=\d+", "_steps=1", block)
    assert count == 3
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    command = ["bash", "-euc", block]
    done = subprocess.run(
        command, cwd=tmp_path, env=os.environ | {"PATH": path}, capture_output=True, text=True, timeout=800, check=False
    )
    assert done.returncode == 0, done.stderr
    cases = pd.read_csv(tmp_path / "tables" / "per_case.csv")
    assert list(zip(cases["method"], cases["status"], strict=True)) == [("wssamnet_refined", "ok")] * 2


def test_the_accuracy_table_says_best_n_and_p(tmp_path: Path) -> None:
    """Two methods over six cases, of which one has five; all figures by hand."""
    heads = "method,case,status,initial_median,initial_mean,median,mean,robustness,folding"
    mine = [f"refinement.fast,{case},ok,4,{case + 4},{case},{case + 1},1,0" for case in range(1, 7)]
    other = [f"ants.good,{case},ok,4,{case + 4},{case},{case + 2},0.5,0.001" for case in range(1, 6)]
    path = tmp_path / "per_case.csv"
    path.write_text("\n".join((heads, *other, *mine, "ants.good,6,missing,4,10,,,,")) + "\n", encoding="utf-8")
    said = _printed(path, "--of", "refinement.fast")
    assert said[2:] == [
        "| before registration | 6 | 4.00 | 4.00 | 7.50 | 7.50 | 10.0 | – | – | – |",
        "| ANTs `good` | 5 | 3.00 | 3.00 | 5.00 | 5.00 | 7.0 | 0.50 | 0.50 | 0.100 |",
        "| refinement `fast` | 6 | **3.50** | **3.50** | **4.50** | **4.50** | **7.0** | **1.00** | **1.00** | 0.000 |",
        "",
        "| against | difference, mm | n | p |",
        "|---|--:|--:|--:|",
        "| ANTs `good` | -1.00 (-1.00 to -1.00) | 5 | 0.062 |",
    ]

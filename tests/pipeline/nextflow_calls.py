"""Calling the real Nextflow on a copy of the checkout."""

from __future__ import annotations

import csv
import os
import shutil
import subprocess
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
REAL_RUN = 840  # seconds


@dataclass(frozen=True)
class Answer:
    """What a call of Nextflow printed, and its exit status."""

    status: int
    output: str


@dataclass(frozen=True)
class Pipeline:
    """A copy of the checkout and the folder in which Nextflow is called.

    Args:
        checkout: may be edited by a test.
        folder: holds ``work`` and the results.
    """

    checkout: Path
    folder: Path

    def nextflow(self, *words: object, seconds: int = 300, **environment: str) -> Answer:
        """Call Nextflow; it is ended after `seconds`."""
        program = shutil.which("nextflow") or str(ROOT / ".venv" / "bin" / "nextflow")
        assert Path(program).exists(), "no Nextflow: `make environment` first"
        done = subprocess.run(
            [program, *map(str, words)],
            cwd=self.folder,
            env={**os.environ, "NXF_ANSI_LOG": "false", **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=seconds,
            check=False,
        )
        return Answer(done.returncode, done.stdout)

    def run(self, *words: object, seconds: int = 300, **environment: str) -> Answer:
        """``nextflow run main.nf`` with `words`."""
        return self.nextflow("run", self.checkout / "main.nf", *words, seconds=seconds, **environment)

    def trace_rows(self, out: str = "out") -> list[dict[str, str]]:
        """Every attempt at a task of the last run, as Nextflow has it."""
        with (self.folder / out / "pipeline_info" / "trace.txt").open(encoding="utf-8") as stream:
            return list(csv.DictReader(stream, delimiter="\t"))

    def trace(self, out: str = "out") -> list[tuple[str, str]]:
        """(process, status) of every task of the last run, sorted."""
        return sorted((row["process"].split(":")[-1], row["status"]) for row in self.trace_rows(out))

    def started(self, out: str = "out") -> Counter[str]:
        """How many tasks of each process the last run started; one that did not end well is told with its status."""
        return Counter(
            process if status == "COMPLETED" else f"{process} {status}"
            for process, status in self.trace(out)
            if status != "CACHED"
        )

    def again(self, out: str = "out") -> set[str]:
        """Processes of which the last run started a task."""
        return {name.split()[0] for name in self.started(out)}

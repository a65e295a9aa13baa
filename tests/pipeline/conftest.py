"""The real Nextflow on a copy of the checkout, and one finished run that several tests look at."""

from __future__ import annotations

import csv
import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
COPIED = ("main.nf", "nextflow.config", "nextflow_schema.json", "conf", "modules", "bin", "wssamnet")
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

    def trace(self, out: str = "out") -> list[tuple[str, str]]:
        """(process, status) of every task of the last run, sorted."""
        with (self.folder / out / "pipeline_info" / "trace.txt").open(encoding="utf-8") as stream:
            rows = list(csv.DictReader(stream, delimiter="\t"))
        return sorted((row["process"].split(":")[-1], row["status"]) for row in rows)

    def again(self, out: str = "out") -> set[str]:
        """Processes of which the last run started a task."""
        return {process for process, status in self.trace(out) if status != "CACHED"}


def _copy(target: Path, names: Sequence[str] = COPIED) -> Path:
    target.mkdir()
    for name in names:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, target / name)  # with times: the compiled kernels stay valid
        else:
            shutil.copy2(source, target / name)
    (target / ".venv").symlink_to(ROOT / ".venv")
    return target


@pytest.fixture(scope="session")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the checkout that no test changes."""
    return _copy(tmp_path_factory.mktemp("checkout") / "wssamnet")


@pytest.fixture
def pipeline(checkout: Path, tmp_path: Path) -> Pipeline:
    """The pipeline, called in an empty folder."""
    return Pipeline(checkout, tmp_path)


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Pipeline, Answer]:
    """``-profile test`` run once, really and to its end, with a checkout of its own; results in ``out``."""
    folder = tmp_path_factory.mktemp("finished")
    pipeline = Pipeline(_copy(folder / "checkout"), folder)
    return pipeline, pipeline.run("-profile", "test", "--outdir", "out", seconds=REAL_RUN)


@pytest.fixture(scope="session")
def stubbed(tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    """``-profile test`` run once as stubs, with a checkout of its own; results in ``out``."""
    folder = tmp_path_factory.mktemp("stubbed")
    pipeline = Pipeline(_copy(folder / "checkout"), folder)
    answer = pipeline.run("-profile", "test", "-stub-run", "--outdir", "out")
    assert answer.status == 0, answer.output
    return pipeline

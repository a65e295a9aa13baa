"""Copies of the checkout, and one finished run that several tests look at."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest
from nextflow_calls import REAL_RUN, ROOT, Answer, Pipeline

COPIED = ("main.nf", "nextflow.config", "nextflow_schema.json", "conf", "modules", "bin", "wssamnet")


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


@pytest.fixture
def editable(tmp_path: Path) -> Pipeline:
    """The pipeline with a checkout of its own, called in the folder around it."""
    return Pipeline(_copy(tmp_path / "checkout"), tmp_path)


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

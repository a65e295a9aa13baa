"""The job for several nodes of docs/cluster.md, on one: functions stand in for Slurm's programs."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from wssamnet.cli.options import settings_from
from wssamnet.preprocessing.prepared import PreparedCase
from wssamnet.training import train_segmentation

from documents import ROOT, fences

pytestmark = pytest.mark.timeout(1500)

SMALL = ("preset=best", "features=2", "levels=2", "segmentation_steps=1", "registration_steps=1")
ONE_NODE = """
scontrol() { echo "$3"; }
srun() { "$@"; }
export SLURM_JOB_NODELIST=localhost SLURM_NNODES=1 SLURM_JOB_ID=7 OMP_NUM_THREADS=1
"""


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_a_training_is_shared_out_by_torchrun(make_prepared: Callable[..., PreparedCase], tmp_path: Path) -> None:
    cases = [
        make_prepared(f"case_{seed}", seed=seed, shape=(16, 16, 16), landmarks=4, root=tmp_path / "prepared").folder
        for seed in range(2)
    ]
    for side in ("fixed", "moving"):
        train_segmentation(side, cases, settings_from(SMALL), tmp_path / "models" / f"segmentation_{side}")
    text = (ROOT / "docs" / "cluster.md").read_text(encoding="utf-8")
    (block,) = (block for language, block in fences(text) if language == "bash" and block.startswith("#SBATCH"))
    assert (block.count("29500"), block.count("/path/to/wssamnet"), block.count("--set batch_size=8")) == (1, 1, 1)
    job = block.replace("29500", str(_free_port())).replace("/path/to/wssamnet", str(ROOT)).rstrip("\n")
    small = "".join(f" --set {word}" for word in SMALL)
    done = subprocess.run(
        ["bash", "-euc", f"{ONE_NODE}{job}{small}"],
        cwd=tmp_path,
        env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert shutil.which("torchrun", path=str(Path(sys.executable).parent)) is not None
    record = json.loads((tmp_path / "models" / "wssamnet" / "training.json").read_text(encoding="utf-8"))
    assert record["processes"] == 4
    assert list((tmp_path / "checkpoints").iterdir())

"""Several processes that train together: the losses of one, cuts, and the end of all when one ends. Gloo, on cores."""

from __future__ import annotations

import csv
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file
from wssamnet.preprocessing.prepared import PreparedCase

pytestmark = pytest.mark.timeout(1500)

Make = Callable[..., PreparedCase]
LIMIT = 500  # seconds for one command on a busy machine; an idle one takes about ten
ROOT = Path(__file__).parents[3]
# Three pairs in a step, of brains of different sizes, for two processes: neither pairs nor voxels divide evenly.
SHAPES = ((16, 20, 16), (20, 16, 16), (16, 16, 24))
LOSSES_TOO = ("mi_weight=0.5", "landmark_weight=0.1", "overlap_weight=0.5")
SMALL = ("preset=best", "features=4", "levels=2", "batch_size=3", *LOSSES_TOO)
STEPS = ("segmentation_steps=4", "pretraining_steps=3", "registration_steps=4", "voxelmorph_steps=2")
STAGES = ("segmentation", "pretraining", "end_to_end", "frozen", "voxelmorph")
# The same sums in another order, in float32; Adam enlarges their rounding where a gradient is nearly 0. Of the bias of
# a convolution before an instance norm nothing else is left: the norm takes it away again.
# A total is the difference of terms that are about 1, and its rounding is theirs.
LOSSES, WEIGHTS = {"rel": 2e-5, "abs": 2e-5}, {"rtol": 0, "atol": 1e-4}
IDLE = re.compile(r"coder\.\d\.[03]\.bias$")


@pytest.fixture
def cases(make_prepared: Make) -> list[Path]:
    return [make_prepared(f"case_{n}", seed=n, shape=shape, landmarks=4).folder for n, shape in enumerate(SHAPES)]


def command(*words: object) -> list[str]:
    return [sys.executable, "-m", "wssamnet.cli", "--threads", "2", *map(str, words)]


def sets(*assignments: str) -> list[str]:
    return [word for assignment in (*SMALL, *STEPS, *assignments) for word in ("--set", assignment)]


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT)}


def call(*words: object) -> subprocess.CompletedProcess[str]:
    """A call of the command line, which may not hang."""
    return subprocess.run(
        list(map(str, words)), capture_output=True, text=True, timeout=LIMIT, env=environment(), check=False
    )


def history(folder: Path) -> list[dict[str, float]]:
    with (folder / "losses.csv").open(encoding="utf-8") as file:
        return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]


def assert_same(one: Path, other: Path) -> None:
    rows = history(one), history(other)
    assert len(rows[0]) == len(rows[1]) > 0
    for first, second in zip(*rows, strict=True):
        assert second == pytest.approx(first, **LOSSES)
    weights = load_file(one / "model.safetensors"), load_file(other / "model.safetensors")
    assert any(map(IDLE.search, weights[0])) != (one.name == "voxelmorph")
    for name, values in weights[0].items():
        if IDLE.search(name):
            continue
        np.testing.assert_allclose(weights[1][name], values, **WEIGHTS, err_msg=name)


# Every stage, one after the other, from the models that the stages before have left in a folder.
ALL_STAGES = """
import sys
from pathlib import Path
from wssamnet.cli.options import settings_from
from wssamnet.training import pretrain, train_registration, train_segmentation, train_voxelmorph
from wssamnet.training.checkpoint import Keeping
out, models, (cases, words) = Path(sys.argv[1]), Path(sys.argv[2]), (word.split(",") for word in sys.argv[3:])
settings, keeping = settings_from(words), Keeping(out / "kept")
for side, name in (("fixed", "segmentation"), ("moving", "other")):
    train_segmentation(side, cases, settings, out / name, keeping=keeping)
both, start = (models / "segmentation", models / "other"), models / "pretraining"
pretrain(cases, both, settings, out / "pretraining", keeping=keeping)
for stage2 in ("end_to_end", "frozen"):
    changed = settings_from([*words, f"stage2={stage2}"])
    train_registration(cases, both, start, changed, out / stage2, keeping=keeping)
train_voxelmorph(cases, settings, out / "voxelmorph", keeping=keeping)
"""


def test_two_processes_have_the_losses_and_weights_of_one(cases: list[Path], tmp_path: Path) -> None:
    script = tmp_path / "stages.py"
    script.write_text(ALL_STAGES)
    words = (tmp_path / "one", ",".join(map(str, cases)), ",".join((*SMALL, *STEPS)))
    torchrun = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2")
    alone = call(sys.executable, script, tmp_path / "one", *words)
    assert alone.returncode == 0, alone.stderr
    beside = call(*torchrun, script, tmp_path / "two", *words)
    assert beside.returncode == 0, beside.stderr
    for stage in STAGES:
        assert_same(tmp_path / "one" / stage, tmp_path / "two" / stage)
    assert beside.stderr.count("segmentation fixed: step 4 of 4") == 1  # one of them shows the progress
    assert json.loads((tmp_path / "two" / "frozen" / "training.json").read_text())["processes"] == 2
    # what defines a training does not hold the number of its processes
    assert {path.name for path in (tmp_path / "one" / "kept").iterdir()} == {
        path.name for path in (tmp_path / "two" / "kept").iterdir()
    }


def test_two_processes_ask_to_be_called_again_and_go_on(cases: list[Path], tmp_path: Path) -> None:
    words = ("train-segmentation", "moving", *cases, "--processes", 2, *sets())
    whole = call(*command(*words, "--out", tmp_path / "whole"))
    assert whole.returncode == 0, whole.stderr
    cut = (*words, "--out", tmp_path / "cut", "--checkpoint-dir", tmp_path / "kept")
    first = call(*command(*cut, "--time-limit", 0))
    assert first.returncode == 85, first.stderr
    said = [line for line in first.stderr.splitlines() if "wssamnet: " in line]
    assert len(said) == 1
    assert said[0].startswith("wssamnet: the wall time is nearly used up after step 1 of 4; saved in ")
    assert not (tmp_path / "cut").exists()
    second = call(*command(*cut))
    assert second.returncode == 0, second.stderr
    assert second.stderr.count("segmentation moving: goes on after step 1 of 4") == 1
    for name in ("model.safetensors", "losses.csv"):
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


# The second process cannot read its cases at the third step.
ONE_FAILS = """
import os
from wssamnet.cli.app import run
from wssamnet.errors import ModelError
from wssamnet.training.dataset import TrainingSet
read, calls = TrainingSet.batch, []
def batch(self, *arguments, **named):
    calls.append(0)
    if os.environ["RANK"] == "1" and len(calls) == 3:
        raise ModelError("cannot be read", "case_1", "copy it again")
    return read(self, *arguments, **named)
TrainingSet.batch = batch
run()
"""


def test_a_process_that_fails_ends_all_with_one_line(cases: list[Path], tmp_path: Path) -> None:
    script = tmp_path / "fails.py"
    script.write_text(ONE_FAILS)
    torchrun = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2")
    ended = call(*torchrun, script, "train-segmentation", "fixed", *cases, "--out", tmp_path / "out", *sets())
    assert ended.returncode != 0
    said = [line for line in ended.stderr.splitlines() if line.startswith("wssamnet: ")]
    assert said == ["wssamnet: case_1: cannot be read (copy it again)"]
    assert "gloo" not in ended.stderr.lower()
    assert not (tmp_path / "out").exists()


def test_what_is_wrong_for_all_is_told_once(cases: list[Path], tmp_path: Path) -> None:
    words = ("train-voxelmorph", *cases, "--out", tmp_path / "out", "--processes", 2, *sets("batch_size=1"))
    ended = call(*command(*words))
    line = "wssamnet: batch_size: '1' cannot be shared out to 2 processes (at least 2)\n"
    assert (ended.returncode, ended.stderr) == (2, line)


def children(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.fixture
def long(cases: list[Path], tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], list[int]]]:
    """A training in two processes that has saved a state: its launcher, and the two."""
    words = ("--out", tmp_path / "out", "--checkpoint-dir", tmp_path / "kept", "--checkpoint-minutes", 0)
    launcher = subprocess.Popen(
        command("train-segmentation", "fixed", *cases, "--processes", 2, *words, *sets("segmentation_steps=100000")),
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
    )
    try:
        end = time.monotonic() + LIMIT
        while not list((tmp_path / "kept").glob("*/last.pt")):
            assert launcher.poll() is None, launcher.communicate()[1]
            assert time.monotonic() < end
            time.sleep(0.1)
        yield launcher, children(launcher.pid)
    finally:
        for pid in (launcher.pid, *(children(launcher.pid) if launcher.poll() is None else ())):
            if launcher.poll() is None:
                os.kill(pid, signal.SIGKILL)
        launcher.wait(60)


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


@pytest.mark.parametrize(("whom", "how", "status"), [("worker", "KILL", 137), ("launcher", "TERM", 143)])
def test_a_killed_process_ends_the_others(
    long: tuple[subprocess.Popen[str], list[int]], whom: str, how: str, status: int
) -> None:
    launcher, workers = long
    assert len(workers) == 2
    os.kill(workers[1] if whom == "worker" else launcher.pid, getattr(signal, f"SIG{how}"))
    _, said = launcher.communicate(timeout=LIMIT)
    assert launcher.returncode == status, said
    line = "wssamnet: a process of the training was killed by SIGKILL; the others were ended"
    assert said.splitlines().count(line) == (1 if whom == "worker" else 0)
    assert "Traceback" not in said
    assert all(gone(pid) for pid in workers)


# Registered before the processes meet, the report is the last that runs.
ENDS = """
import atexit, os
from pathlib import Path
threads, told = Path("/proc/self/task"), Path(__file__).with_name(os.environ["RANK"])  # two would print into one line
atexit.register(lambda: told.write_text(str(sum("gloo" in (one / "comm").read_text() for one in threads.iterdir()))))
import torch
from wssamnet.training.loop import Plan, run_training
from wssamnet.training.processes import Processes
def train():
    processes = Processes.join(2)
    model = torch.nn.Linear(4, 1)
    network = processes.shared(model)
    run_training(model, lambda step: {"sum": network(torch.ones(2, 4)).sum()}, Plan("sum", 2, 0.1, "step"), processes)
    processes.part()
train()
"""


def test_no_thread_of_the_group_outlives_it(tmp_path: Path) -> None:
    # One that does may abort the process, after all is done and saved, as the interpreter is taken down.
    script = tmp_path / "ends.py"
    script.write_text(ENDS)
    done = call(sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", script)
    assert done.returncode == 0, done.stderr
    assert [(tmp_path / rank).read_text() for rank in "01"] == ["0", "0"]

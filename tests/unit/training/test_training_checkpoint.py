"""A training that is cut anywhere ends with the same bits; bad files are named; the wall time is kept."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from wssamnet.errors import ModelError, TimeIsUp
from wssamnet.training.checkpoint import BEST, LAST, PREVIOUS, Keeping, load_checkpoint, save_checkpoint
from wssamnet.training.loop import Plan, run_training

STEPS = 15
Result = tuple[dict[str, Tensor], list[dict[str, float]]]


class Cut(Exception):
    """Stands for a kill."""


def plan(root: Path, every: float = 0.0, **changes: float) -> Plan:
    return Plan("a fit", STEPS, 0.05, "cosine", keeping=replace(Keeping(root, every), **changes))


def fit(plan: Plan, cut_at: int | None = None, seconds: float = 0.0) -> Result:
    """Train a small net with dropout, so that the random state matters, on data that the step decides."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Dropout(0.2), nn.Linear(4, 1))

    def losses(step: int) -> dict[str, Tensor]:
        if step == cut_at:
            raise Cut
        time.sleep(seconds)
        x = torch.rand(8, 3, generator=torch.Generator().manual_seed(step))
        return {"square": (model(x)[:, 0] - x.sum(1)).square().mean(), "size": 0.01 * model[0].weight.square().sum()}

    history, _ = run_training(model, losses, plan)
    return model.state_dict(), history


def same(one: Result, other: Result) -> bool:
    return one[1] == other[1] and all(torch.equal(one[0][name], other[0][name]) for name in one[0])


@pytest.fixture(scope="module")
def uncut() -> Result:
    return fit(Plan("a fit", STEPS, 0.05, "cosine"))


@settings(max_examples=25, deadline=None)
@given(cuts=st.lists(st.integers(0, STEPS - 1), max_size=5), every=st.sampled_from([0.0, 0.002, 1000.0]))
def test_cut_anywhere_and_any_number_of_times_it_ends_with_the_same_bits(
    uncut: Result, tmp_path_factory: pytest.TempPathFactory, cuts: list[int], every: float
) -> None:
    root = tmp_path_factory.mktemp("cuts")
    for cut in cuts:
        try:
            fit(plan(root, every), cut)
        except Cut:
            continue
    assert same(fit(plan(root, every)), uncut)
    shutil.rmtree(root)


def test_a_finished_training_computes_nothing_again(uncut: Result, tmp_path: Path) -> None:
    fit(plan(tmp_path))
    assert same(fit(plan(tmp_path), cut_at=0), uncut)


def test_last_previous_and_best_are_kept_and_nothing_else(tmp_path: Path) -> None:
    (folder := plan(tmp_path).folder.path).mkdir()  # type: ignore[union-attr]
    (folder / ".0badcafe.last.pt").write_bytes(b"half a checkpoint")
    os.utime(folder / ".0badcafe.last.pt", (0, 0))
    (folder / ".1badcafe.last.pt").write_bytes(b"another training's, being written")
    fit(plan(tmp_path))
    assert {path.name for path in folder.iterdir()} == {LAST, PREVIOUS, BEST, ".1badcafe.last.pt"}
    key = plan(tmp_path).key
    rows = {name: len(load_checkpoint(folder / name, key=key)["history"]) for name in (LAST, PREVIOUS)}
    assert rows == {LAST: STEPS, PREVIOUS: STEPS - 1}
    history = load_checkpoint(folder / LAST, key=key)["history"][:, 0]
    means = [float(history[: n + 1].mean()) for n in range(STEPS)]
    assert len(load_checkpoint(folder / BEST, key=key)["history"]) == means.index(min(means)) + 1


def test_other_settings_have_their_own_folder(tmp_path: Path) -> None:
    fit(plan(tmp_path))
    fit(replace(plan(tmp_path), learning_rate=0.01))
    fit(replace(plan(tmp_path), defines=("other data",)))
    assert len(list(tmp_path.iterdir())) == 3


@pytest.mark.parametrize("harm", ["empty", "short", "one bit", "no archive"])
def test_a_damaged_checkpoint_is_named_and_the_one_before_it_used(
    uncut: Result, tmp_path: Path, capsys: pytest.CaptureFixture[str], harm: str
) -> None:
    with pytest.raises(Cut):
        fit(plan(tmp_path), cut_at=9)
    last = next(tmp_path.iterdir()) / LAST
    content = bytearray(last.read_bytes())
    if harm == "one bit":
        weights = load_checkpoint(last, key=plan(tmp_path).key)["model"]["0.weight"]
        content[content.index(weights.numpy().tobytes()) + 5] ^= 1
    last.write_bytes({"empty": b"", "short": content[: len(content) // 2], "no archive": b"x" * 99}.get(harm, content))
    capsys.readouterr()
    assert same(fit(plan(tmp_path)), uncut)
    told = capsys.readouterr().err
    assert f"wssamnet: {last}: is damaged; the one before it is used" in told
    assert f"a fit: goes on after step 8 of {STEPS}" in told


def test_with_every_checkpoint_damaged_it_starts_again(uncut: Result, tmp_path: Path) -> None:
    fit(plan(tmp_path))
    for file in next(tmp_path.iterdir()).iterdir():
        file.write_bytes(b"")
    assert same(fit(plan(tmp_path)), uncut)


def test_before_the_deadline_it_saves_and_asks_for_another_start(uncut: Result, tmp_path: Path) -> None:
    pauses: list[TimeIsUp] = []
    ended: Result | None = None
    while ended is None:
        try:
            ended = fit(plan(tmp_path, every=1000, deadline=time.monotonic() + 0.4, reserve=0.1), seconds=0.05)
        except TimeIsUp as pause:
            pauses.append(pause)
    done = [pause.done for pause in pauses]
    assert len(done) > 1
    assert done == sorted(set(done))
    assert str(pauses[0]).startswith(f"the wall time is nearly used up after step {done[0]} of {STEPS}; saved in ")
    assert same(ended, uncut)


def test_a_deadline_in_the_past_still_lets_one_step_through(uncut: Result, tmp_path: Path) -> None:
    for step in range(1, STEPS):
        with pytest.raises(TimeIsUp, match=f"after step {step} of"):
            fit(plan(tmp_path, deadline=0.0))
    assert same(fit(plan(tmp_path, deadline=0.0)), uncut)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 200 kB."""
    words = ["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", str(tmp_path)]
    if subprocess.run(words, capture_output=True, check=False).returncode:
        pytest.skip("only root can mount a small disk")
    yield tmp_path
    subprocess.run(["umount", str(tmp_path)], check=True)


def test_a_full_disk_is_told_and_spares_the_checkpoint_that_is_there(uncut: Result, small_disk: Path) -> None:
    with pytest.raises(Cut):
        fit(plan(small_disk), cut_at=5)
    filler = small_disk / "filler"
    with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    with pytest.raises(ModelError, match=r"the checkpoint could not be written \(0\.0 MB are free; .*make room"):
        fit(plan(small_disk))
    filler.unlink()
    assert {path.name for path in next(small_disk.iterdir()).iterdir()} == {LAST, PREVIOUS, BEST}
    assert same(fit(plan(small_disk)), uncut)


@pytest.mark.parametrize(("limit", "reserve"), [(None, 0.0), (60.0, 30.0), (36000.0, 180.0)])
def test_a_budget_leaves_time_for_slurm_to_warn(tmp_path: Path, limit: float | None, reserve: float) -> None:
    keeping = Keeping.until(tmp_path, 300, limit)
    assert keeping.reserve == reserve
    assert (keeping.deadline is None) == (limit is None)


class Harmful:
    """Writes a file when it is unpickled."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return Path.touch, (self.target,)


def test_a_checkpoint_with_code_is_refused_and_not_run(tmp_path: Path) -> None:
    torch.save({"key": "k", "code": Harmful(tmp_path / "ran")}, tmp_path / LAST)
    with pytest.raises(ModelError, match=r"last.pt: holds more than weights and is refused"):
        load_checkpoint(tmp_path / LAST, key="k")
    assert not (tmp_path / "ran").exists()


def test_a_checkpoint_of_another_run_is_refused(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / LAST, {"key": "k"})
    with pytest.raises(ModelError, match=r"last.pt: belongs to a training with other settings or cases"):
        load_checkpoint(tmp_path / LAST, key="other")

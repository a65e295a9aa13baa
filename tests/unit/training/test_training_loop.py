"""The loop: schedules, resuming bit by bit, checkpoints that are refused, lines of a log."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from wssamnet.errors import ModelError
from wssamnet.training.checkpoint import LAST, load_checkpoint, save_checkpoint
from wssamnet.training.loop import Plan, learning_rate, run_training


class Cut(Exception):
    """Stands for a kill."""


def fit(plan: Plan, cut_at: int | None = None) -> tuple[dict[str, Tensor], list[dict[str, float]]]:
    """Train a small net on data that the step decides."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))

    def losses(step: int) -> dict[str, Tensor]:
        if step == cut_at:
            raise Cut
        x = torch.rand(8, 3, generator=torch.Generator().manual_seed(step))
        return {"square": (model(x)[:, 0] - x.sum(1)).square().mean(), "size": 0.01 * model[0].weight.square().sum()}

    history, _ = run_training(model, losses, plan)
    return model.state_dict(), history


@pytest.mark.parametrize("cut_at", [1, 7, 12])
def test_an_interrupted_training_ends_with_the_same_bits(tmp_path: Path, cut_at: int) -> None:
    plan = Plan("fit", 15, 0.05, "cosine", checkpoints=tmp_path, checkpoint_every=5)
    weights, history = fit(Plan("fit", 15, 0.05, "cosine"))
    with pytest.raises(Cut):
        fit(plan, cut_at)
    resumed, resumed_history = fit(plan)
    assert resumed_history == history
    assert all(torch.equal(resumed[name], weights[name]) for name in weights)
    again, _ = fit(plan, cut_at=0)  # complete: nothing is computed any more
    assert all(torch.equal(again[name], weights[name]) for name in weights)
    assert [path.name for path in tmp_path.iterdir()] == [LAST]


def test_it_minimises_the_sum_of_the_terms() -> None:
    _, history = fit(Plan("fit", 60, 0.05, "step"))
    assert history[0]["total"] == pytest.approx(history[0]["square"] + history[0]["size"])
    assert history[-1]["total"] < 0.3 * history[0]["total"]


def test_schedules() -> None:
    step, cosine = Plan("", 90, 1.0, "step"), Plan("", 90, 1.0, "cosine")
    assert [learning_rate(step, n) for n in (0, 29, 30, 60, 89)] == [1, 1, 0.5, 0.25, 0.25]
    assert [learning_rate(cosine, n) for n in (0, 45, 90)] == pytest.approx([1, 0.505, 0.01])


def test_a_checkpoint_of_another_run_is_refused(tmp_path: Path) -> None:
    fit(Plan("fit", 5, 0.05, "cosine", checkpoints=tmp_path))
    with pytest.raises(ModelError, match=r"last.pt: belongs to a training with other settings or cases"):
        fit(Plan("fit", 5, 0.01, "cosine", checkpoints=tmp_path))


def test_a_damaged_checkpoint_is_named(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / LAST, {"key": "k", "weights": torch.rand(1000)})
    content = (tmp_path / LAST).read_bytes()
    for cut in (0, 10, len(content) // 2):
        (tmp_path / LAST).write_bytes(content[:cut])
        with pytest.raises(ModelError, match=r"last.pt: is damaged \(delete it to start this training again\)"):
            load_checkpoint(tmp_path / LAST, key="k")


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


def test_a_log_gets_plain_lines_with_rate_and_losses(capsys: pytest.CaptureFixture[str]) -> None:
    fit(Plan("fit", 4, 0.05, "cosine"))
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1  # within five seconds only the end is told
    assert lines[0].startswith("fit: step 4 of 4, ")
    assert "steps/s, 0:00 left, loss " in lines[0]
    assert "(square " in lines[0]

"""The loop: what it minimises, schedules, lines of a log."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from wssamnet.errors import ModelError
from wssamnet.training.loop import Plan, learning_rate, run_training


def fit(plan: Plan) -> tuple[dict[str, Tensor], list[dict[str, float]]]:
    """Train a small net on data that the step decides."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))

    def losses(step: int) -> dict[str, Tensor]:
        x = torch.rand(8, 3, generator=torch.Generator().manual_seed(step))
        return {"square": (model(x)[:, 0] - x.sum(1)).square().mean(), "size": 0.01 * model[0].weight.square().sum()}

    history, _ = run_training(model, losses, plan)
    return model.state_dict(), history


def test_it_minimises_the_sum_of_the_terms() -> None:
    _, history = fit(Plan("fit", 60, 0.05, "step"))
    assert history[0]["total"] == pytest.approx(history[0]["square"] + history[0]["size"])
    assert history[-1]["total"] < 0.3 * history[0]["total"]


def test_schedules() -> None:
    step, cosine = Plan("", 90, 1.0, "step"), Plan("", 90, 1.0, "cosine")
    assert [learning_rate(step, n) for n in (0, 29, 30, 60, 89)] == [1, 1, 0.5, 0.25, 0.25]
    assert [learning_rate(cosine, n) for n in (0, 45, 90)] == pytest.approx([1, 0.505, 0.01])


def test_a_log_gets_plain_lines_with_rate_and_losses(capsys: pytest.CaptureFixture[str]) -> None:
    fit(Plan("fit", 4, 0.05, "cosine"))
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1  # within five seconds only the end is told
    assert lines[0].startswith("fit: step 4 of 4, ")
    assert "steps/s, 0:00 left, loss " in lines[0]
    assert "(square " in lines[0]


def test_a_last_step_that_leaves_nan_is_an_error() -> None:
    """No later loss would show it."""
    weight = nn.Linear(1, 1, bias=False)

    def losses(step: int) -> dict[str, Tensor]:
        return {"root": (weight.weight * 0).sqrt().sum()}  # 0, of an infinite slope

    with pytest.raises(ModelError, match=r"fit: the last step's gradient was not finite \(lower the learning rate\)"):
        run_training(weight, losses, Plan("fit", 1, 0.05, "step"))

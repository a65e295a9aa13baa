"""The one training loop: Adam, a schedule, progress, checkpoints, losses."""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from wssamnet.errors import ModelError
from wssamnet.training.checkpoint import LAST, load_checkpoint, save_checkpoint
from wssamnet.training.progress import TrainingProgress

History = list[dict[str, float]]
Losses = Callable[[int], dict[str, Tensor]]


@dataclass(frozen=True)
class Plan:
    """How one network is trained.

    Args:
        name: what the progress calls it.
        steps: optimiser steps.
        learning_rate: at the start.
        schedule: "step", halved after each third, or "cosine", to a hundredth.
        defines: whatever else defines the run (settings, case ids); a checkpoint fits only the same.
        checkpoints: folder of the state for resuming; None keeps none.
        checkpoint_every: steps between two checkpoints.
    """

    name: str
    steps: int
    learning_rate: float
    schedule: Literal["step", "cosine"]
    defines: tuple[Any, ...] = ()
    checkpoints: Path | None = None
    checkpoint_every: int = 100

    @property
    def key(self) -> str:
        """Digest of everything that decides the result."""
        content = [self.name, self.steps, self.learning_rate, self.schedule, *self.defines]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def learning_rate(plan: Plan, step: int) -> float:
    """The rate of a step, counted from 0."""
    if plan.schedule == "step":
        return plan.learning_rate * 0.5 ** (3 * step // plan.steps)
    return plan.learning_rate * (0.01 + 0.99 * (1 + math.cos(math.pi * step / plan.steps)) / 2)


def run_training(model: nn.Module, losses: Losses, plan: Plan) -> tuple[History, float]:
    """Train in place; go on from the last checkpoint where there is one.

    Args:
        model: its parameters that require a gradient are trained.
        losses: step (from 0) → weighted terms, whose sum is minimised. Must depend on the step and the
            weights alone: then the same run gives the same numbers, interrupted or not.
        plan: see `Plan`.

    Returns:
        one row a step, {"total", …terms}, and the seconds that it took (of this run alone).

    Raises:
        ModelError: a loss is NaN or infinite; a checkpoint is damaged or of another run.
    """
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimiser = torch.optim.Adam(parameters, lr=plan.learning_rate)
    history: History = []
    last = plan.checkpoints / LAST if plan.checkpoints is not None else None
    if last is not None and last.is_file():
        state = load_checkpoint(last, key=plan.key)
        model.load_state_dict(state["model"])
        optimiser.load_state_dict(state["optimiser"])
        torch.set_rng_state(state["rng"])
        history = [dict(zip(state["terms"], row, strict=True)) for row in state["history"].tolist()]
    begin = time.perf_counter()
    model.train()
    with TrainingProgress(plan.name, plan.steps, done=len(history)) as progress:
        for step in range(len(history), plan.steps):
            for group in optimiser.param_groups:
                group["lr"] = learning_rate(plan, step)
            terms = losses(step)
            total = torch.stack(list(terms.values())).sum()
            row = {"total": float(total.detach()), **{name: float(term.detach()) for name, term in terms.items()}}
            if not math.isfinite(row["total"]):
                bad = ", ".join(f"{name} {value}" for name, value in row.items() if not math.isfinite(value))
                raise ModelError(
                    f"the loss is not finite at step {step + 1} of {plan.steps}: {bad}",
                    plan.name,
                    "lower the learning rate, or look for NaN in the prepared images",
                )
            optimiser.zero_grad(set_to_none=True)
            torch.autograd.backward(total)
            optimiser.step()
            history.append(row)
            progress.update(step + 1, row)
            if last is not None and ((step + 1) % plan.checkpoint_every == 0 or step + 1 == plan.steps):
                save_checkpoint(last, _state(model, optimiser, history, plan))
    model.eval()
    return history, time.perf_counter() - begin


def _state(model: nn.Module, optimiser: torch.optim.Adam, history: History, plan: Plan) -> dict[str, Any]:
    return {
        "key": plan.key,
        "model": model.state_dict(),
        "optimiser": optimiser.state_dict(),
        "rng": torch.get_rng_state(),
        "terms": list(history[0]),
        "history": torch.tensor([list(row.values()) for row in history], dtype=torch.float64),
    }

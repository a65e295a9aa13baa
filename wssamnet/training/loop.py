"""The one training loop: Adam, a schedule, progress, checkpoints, losses."""

from __future__ import annotations

import hashlib
import json
import math
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor, nn

from wssamnet.errors import ModelError, TimeIsUp
from wssamnet.training.checkpoint import CheckpointFolder, Keeping, State
from wssamnet.training.processes import Processes
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
        defines: whatever else defines the run (settings, data, code); a checkpoint fits only the same.
        keeping: where the state is kept for going on; None keeps none.
    """

    name: str
    steps: int
    learning_rate: float
    schedule: Literal["step", "cosine"]
    defines: tuple[Any, ...] = ()
    keeping: Keeping | None = None

    @property
    def key(self) -> str:
        """Digest of everything that decides the result."""
        content = [self.name, self.steps, self.learning_rate, self.schedule, *self.defines]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    @property
    def folder(self) -> CheckpointFolder | None:
        """Where this very training keeps its state."""
        if self.keeping is None:
            return None
        return CheckpointFolder(self.keeping.root / f"{self.name.replace(' ', '_')}-{self.key[:16]}", self.key)


def learning_rate(plan: Plan, step: int) -> float:
    """The rate of a step, counted from 0."""
    if plan.schedule == "step":
        return plan.learning_rate * 0.5 ** (3 * step // plan.steps)
    return plan.learning_rate * (0.01 + 0.99 * (1 + math.cos(math.pi * step / plan.steps)) / 2)


class _Keeper:
    """Saves when it is time to, and says when the training has to stop; only the first of several processes saves."""

    def __init__(self, keeping: Keeping, folder: CheckpointFolder, processes: Processes) -> None:
        self.keeping, self.folder, self.processes = keeping, folder, processes
        self.saved = self.stepped = time.monotonic()
        self.longest_step = self.longest_save = 0.0
        self.lowest = math.inf

    def after_step(self, state: Callable[[], State], history: History, steps: int) -> None:
        """Call after every step.

        Raises:
            TimeIsUp: the next step might not end before the deadline; the state is saved. Raised in all processes
                if in any.
        """
        now = time.monotonic()
        self.longest_step = max(self.longest_step, now - self.stepped)
        finished = len(history) == steps
        late = self._late(now) and not finished
        if self.processes.first and (finished or late or now - self.saved >= self.keeping.every):
            recent = [row["total"] for row in history[-50:]]
            mean = sum(recent) / len(recent)
            best = mean < self.lowest
            self.lowest = min(self.lowest, mean)
            self.longest_save = max(self.longest_save, self.folder.save({**state(), "lowest": self.lowest}, best=best))
            self.saved = time.monotonic()
        if late:
            self.processes.told(None)  # the state is saved: an end of one process is the end of all
            raise TimeIsUp(len(history), steps, self.folder.path)
        self.stepped = time.monotonic()

    def _late(self, now: float) -> bool:
        if self.keeping.deadline is None:
            return False
        needed = self.keeping.reserve + 2 * (self.longest_step + self.longest_save)
        return self.processes.any(now + needed >= self.keeping.deadline)


def run_training(
    model: nn.Module, losses: Losses, plan: Plan, processes: Processes | None = None
) -> tuple[History, float]:
    """Train in place; go on from the newest sound checkpoint where there is one.

    A training that was cut anywhere, any number of times, ends with the weights of one that was not: on a CPU
    to the last bit.

    Args:
        model: its parameters that require a gradient are trained.
        losses: step (from 0) → weighted terms, whose sum is minimised. Must depend on the step and the
            weights alone: then the same run gives the same numbers, interrupted or not. With several processes,
            those of this one's share, so weighted that their mean over the processes is the batch's.
        plan: see `Plan`.
        processes: that train together; None for this one alone.

    Returns:
        one row a step, {"total", …terms}, and the seconds that it took, over all attempts up to their last saves.

    Raises:
        ModelError: a loss is NaN or infinite.
        TimeIsUp: the wall time is nearly used up; the state is saved. At least one step was made.
        ProcessLost: another process has ended.
    """
    processes = processes or Processes()
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimiser = torch.optim.Adam(parameters, lr=plan.learning_rate)
    history: History = []
    spent = 0.0
    folder = plan.folder
    keeper = _Keeper(plan.keeping, folder, processes) if plan.keeping is not None and folder is not None else None
    state = processes.told(folder.newest() if folder is not None and processes.first else None)
    if keeper is not None and state is not None:
        _restore(state, model, optimiser)
        keeper.lowest, spent = state["lowest"], state["seconds"]
        history = [dict(zip(state["terms"], row, strict=True)) for row in state["history"].tolist()]
        if processes.first:
            print(f"{plan.name}: goes on after step {len(history)} of {plan.steps}", file=sys.stderr, flush=True)
    begin = time.perf_counter() - spent
    model.train()
    with TrainingProgress(plan.name, plan.steps, done=len(history), shown=processes.first) as progress:
        for step in range(len(history), plan.steps):
            for group in optimiser.param_groups:
                group["lr"] = learning_rate(plan, step)
            terms = losses(step)
            total = torch.stack(list(terms.values())).sum()
            own = {"total": float(total.detach()), **{name: float(term.detach()) for name, term in terms.items()}}
            row = processes.mean(own)
            if not math.isfinite(row["total"]):
                bad = ", ".join(f"{name} {value}" for name, value in row.items() if not math.isfinite(value))
                raise ModelError(
                    f"the loss is not finite at step {step + 1} of {plan.steps}: {bad}",
                    plan.name,
                    "lower the learning rate, or look for NaN in the prepared images",
                )
            optimiser.zero_grad(set_to_none=True)
            processes.backward(total)
            optimiser.step()
            history.append(row)
            progress.update(step + 1, row)
            if keeper is not None:
                seconds = time.perf_counter() - begin
                keeper.after_step(partial(_state, model, optimiser, history, seconds), history, plan.steps)
    if not all(bool(torch.isfinite(parameter).all()) for parameter in parameters):
        raise ModelError("the last step's gradient was not finite", plan.name, "lower the learning rate")
    model.eval()
    return history, time.perf_counter() - begin


def _state(model: nn.Module, optimiser: torch.optim.Adam, history: History, seconds: float) -> State:
    return {
        "seconds": seconds,
        "model": model.state_dict(),
        "optimiser": optimiser.state_dict(),
        "rng": torch.get_rng_state(),
        "rng_cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        "terms": list(history[0]),
        "history": torch.tensor([list(row.values()) for row in history], dtype=torch.float64),
    }


def _restore(state: State, model: nn.Module, optimiser: torch.optim.Adam) -> None:
    model.load_state_dict(state["model"])
    optimiser.load_state_dict(state["optimiser"])
    torch.set_rng_state(state["rng"])
    if len(state["rng_cuda"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all(state["rng_cuda"])

"""What every training stage begins and ends with: device, threads, seed; the folder that it leaves.

``<out>/``

    model.safetensors, settings.json   the network, see `models.persistence`
    losses.csv, losses.png             every term at every step
    training.json                      seconds, steps, seed, threads, processes, device, versions, cases, final losses
"""

from __future__ import annotations

import csv
import os
import platform
import re
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
from torch import nn

from wssamnet.files import folder_atomically, require_free, write_json
from wssamnet.kernels.memory import keep_freed_memory
from wssamnet.models.persistence import Kind, save_model
from wssamnet.models.placement import unseen_gpus
from wssamnet.settings import Settings
from wssamnet.training.curves import draw_losses
from wssamnet.training.dataset import TrainingSet
from wssamnet.training.loop import History, Losses, Plan, run_training
from wssamnet.training.processes import Processes

_FILES = re.compile(r"model\.safetensors|settings\.json|losses\.csv|losses\.png|training\.json")


def begin(settings: Settings) -> Processes:
    """Set torch's threads (OMP_NUM_THREADS, else this process's cores), seed and allocator; meet the other processes.

    Raises:
        SettingsError: the processes do not fit the batch or the GPUs.
        ProcessLost: another process has ended.
    """
    told = os.environ.get("OMP_NUM_THREADS", "")
    torch.set_num_threads(int(told) if told.isdigit() and int(told) > 0 else len(os.sched_getaffinity(0)))
    torch.manual_seed(settings.seed)
    keep_freed_memory()
    return Processes.join(settings.batch_size)


def final_losses(history: History) -> dict[str, float]:
    """Each term's mean over the last twentieth of the steps."""
    tail = history[-max(1, len(history) // 20) :]
    return {name: sum(row[name] for row in tail) / len(tail) for name in tail[0]} if tail else {}


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in ("wssamnet", "torch", "voxelmorph", "numpy", "numba"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def train_and_save(
    model: nn.Module,
    losses: Losses,
    plan: Plan,
    *,
    kind: Kind,
    cases: TrainingSet,
    settings: Settings,
    processes: Processes,
    out: str | Path,
    record: dict[str, Any] | None = None,
) -> Path:
    """Train, and write the stage's folder, which appears whole or not at all.

    Args:
        model, losses, plan: see `run_training`.
        kind, settings: see `save_model`.
        cases: what it trains on.
        processes: that train it; the first one writes.
        out: the folder; the former result of the same stage is replaced.
        record: what else belongs into ``training.json``.

    Returns:
        `out`.

    Raises:
        WssamnetError: `out` holds anything else, or cannot be replaced; told before the training.
    """
    require_free(Path(out), _FILES, ("training.json", "stage", plan.name))
    unseen = unseen_gpus()
    if unseen and processes.first:
        print(f"wssamnet: {plan.name}: {unseen}", file=sys.stderr, flush=True)
    history, seconds = run_training(model, losses, plan, processes)
    out = Path(out)
    if not processes.first:
        processes.part()
        return out
    with folder_atomically(out) as temporary:
        save_model(temporary, model, kind=kind, settings=settings, channels=cases.channels)
        terms = list(history[0]) if history else ["total"]
        with (temporary / "losses.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["step", *terms])
            writer.writerows([step, *(repr(row[name]) for name in terms)] for step, row in enumerate(history, start=1))
        draw_losses(history, temporary / "losses.png", plan.name)
        content = {
            "stage": plan.name,
            "kind": kind,
            "steps": plan.steps,
            "seconds": round(seconds, 3),
            "seed": settings.seed,
            "threads": torch.get_num_threads(),
            "processes": processes.count,
            "device": str(processes.device),
            **({"problems": [unseen]} if unseen else {}),
            "versions": _versions(),
            "cases": cases.ids,
            "shape": list(cases.shape(range(len(cases.cases)))),
            "spacing_mm": list(cases.spacing),
            "final_losses": final_losses(history),
            **(record or {}),
        }
        write_json(temporary / "training.json", content)
    processes.part()
    return out

"""Options of the trainings alone: a file of its own, so that other verbs do not depend on the training's code."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from wssamnet.training.checkpoint import Keeping

CheckpointDir = Annotated[
    Path | None,
    typer.Option(
        envvar="WSSAMNET_CHECKPOINT_DIR",
        help="Folder where the state of trainings is kept, and looked for to go on; one serves many trainings.",
    ),
]
CheckpointMinutes = Annotated[
    float, typer.Option(min=0, envvar="WSSAMNET_CHECKPOINT_MINUTES", help="Between two saves; 0 saves at every step.")
]
TimeLimit = Annotated[
    float | None,
    typer.Option(
        min=0,
        metavar="SECONDS",
        help="Wall time of this call; shortly before, a training with a checkpoint folder saves and exits with 85.",
    ),
]


def keeping_from(folder: Path | None, minutes: float, time_limit: float | None) -> Keeping | None:
    """How a training keeps its state; its wall time begins now. None without a folder."""
    began = time.monotonic()
    from wssamnet.training.checkpoint import Keeping

    if folder is None:
        return None
    left = None if time_limit is None else time_limit - (time.monotonic() - began)
    return Keeping.until(folder, 60 * minutes, left)

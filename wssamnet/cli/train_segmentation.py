"""``wssamnet train-segmentation``"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from wssamnet.cli.keeping import CheckpointDir, CheckpointMinutes, TimeLimit, keeping_from
from wssamnet.cli.options import Out, Prepared, Set, settings_from
from wssamnet.cli.together import Processes, together


class Side(StrEnum):
    """Which scan the network sees."""

    fixed = "fixed"
    moving = "moving"


def train_segmentation(
    side: Annotated[Side, typer.Argument(help="Which scan the network sees.")],
    prepared: Prepared,
    out: Out,
    checkpoint_dir: CheckpointDir = None,
    checkpoint_minutes: CheckpointMinutes = 5,
    time_limit: TimeLimit = None,
    processes: Processes = 1,
    assignments: Set = None,
) -> None:
    """Train one of the two segmentation U-Nets on the regions around the landmarks."""
    together(processes)
    keeping = keeping_from(checkpoint_dir, checkpoint_minutes, time_limit)
    from wssamnet.training.segmentation import train_segmentation as train

    train(side.value, prepared, settings_from(assignments), out, keeping=keeping)

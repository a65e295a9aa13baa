"""``wssamnet train-segmentation``"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from wssamnet.cli.options import Checkpoints, Out, Prepared, Set, settings_from


class Side(StrEnum):
    """Which scan the network sees."""

    fixed = "fixed"
    moving = "moving"


def train_segmentation(
    side: Annotated[Side, typer.Argument(help="Which scan the network sees.")],
    prepared: Prepared,
    out: Out,
    checkpoint_dir: Checkpoints = None,
    assignments: Set = None,
) -> None:
    """Train one of the two segmentation U-Nets on the regions around the landmarks."""
    from wssamnet.training.segmentation import train_segmentation as train

    train(side.value, prepared, settings_from(assignments), out, checkpoint_dir=checkpoint_dir)

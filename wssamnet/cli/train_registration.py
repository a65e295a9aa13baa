"""``wssamnet train-registration``"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from wssamnet.cli.options import (
    Checkpoints,
    Out,
    Prepared,
    SegmentationFixed,
    SegmentationMoving,
    Set,
    settings_from,
)


def train_registration(
    prepared: Prepared,
    segmentation_fixed: SegmentationFixed,
    segmentation_moving: SegmentationMoving,
    out: Out,
    pretrained: Annotated[Path | None, typer.Option(help="Folder of the pretrained network.")] = None,
    checkpoint_dir: Checkpoints = None,
    assignments: Set = None,
) -> None:
    """Train WSSAMNet to register the moving scans to the fixed ones."""
    from wssamnet.training.registration import train_registration as train

    segmentation = (segmentation_fixed, segmentation_moving)
    train(prepared, segmentation, pretrained, settings_from(assignments), out, checkpoint_dir=checkpoint_dir)

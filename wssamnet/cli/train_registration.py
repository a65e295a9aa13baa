"""``wssamnet train-registration``"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from wssamnet.cli.keeping import CheckpointDir, CheckpointMinutes, TimeLimit, keeping_from
from wssamnet.cli.options import Out, Prepared, SegmentationFixed, SegmentationMoving, Set, settings_from
from wssamnet.cli.together import Placed, Placing, Processes, placement_from, together


def train_registration(
    prepared: Prepared,
    segmentation_fixed: SegmentationFixed,
    segmentation_moving: SegmentationMoving,
    out: Out,
    pretrained: Annotated[Path | None, typer.Option(help="Folder of the pretrained network.")] = None,
    checkpoint_dir: CheckpointDir = None,
    checkpoint_minutes: CheckpointMinutes = 5,
    time_limit: TimeLimit = None,
    processes: Processes = 1,
    placement: Placed = Placing.data_parallel,
    assignments: Set = None,
) -> None:
    """Train WSSAMNet to register the moving scans to the fixed ones."""
    together(processes)
    keeping = keeping_from(checkpoint_dir, checkpoint_minutes, time_limit)
    from wssamnet.training.registration import train_registration as train

    segmentation = (segmentation_fixed, segmentation_moving)
    train(
        prepared,
        segmentation,
        pretrained,
        settings_from(assignments),
        out,
        keeping=keeping,
        placement=placement_from(placement),
    )

"""``wssamnet pretrain``"""

from __future__ import annotations

from wssamnet.cli.keeping import CheckpointDir, CheckpointMinutes, TimeLimit, keeping_from
from wssamnet.cli.options import Out, Prepared, SegmentationFixed, SegmentationMoving, Set, settings_from
from wssamnet.cli.together import Placed, Placing, Processes, placement_from, together


def pretrain(
    prepared: Prepared,
    segmentation_fixed: SegmentationFixed,
    segmentation_moving: SegmentationMoving,
    out: Out,
    checkpoint_dir: CheckpointDir = None,
    checkpoint_minutes: CheckpointMinutes = 5,
    time_limit: TimeLimit = None,
    processes: Processes = 1,
    placement: Placed = Placing.data_parallel,
    assignments: Set = None,
) -> None:
    """Train the registration network on volumes and their own augmented versions."""
    together(processes)
    keeping = keeping_from(checkpoint_dir, checkpoint_minutes, time_limit)
    from wssamnet.training.pretraining import pretrain as train

    segmentation = (segmentation_fixed, segmentation_moving)
    train(prepared, segmentation, settings_from(assignments), out, keeping=keeping, placement=placement_from(placement))

"""``wssamnet pretrain``"""

from __future__ import annotations

from wssamnet.cli.options import (
    Checkpoints,
    Out,
    Prepared,
    SegmentationFixed,
    SegmentationMoving,
    Set,
    settings_from,
)


def pretrain(
    prepared: Prepared,
    segmentation_fixed: SegmentationFixed,
    segmentation_moving: SegmentationMoving,
    out: Out,
    checkpoint_dir: Checkpoints = None,
    assignments: Set = None,
) -> None:
    """Train the registration network on volumes and their own augmented versions."""
    from wssamnet.training.pretraining import pretrain as train

    segmentation = (segmentation_fixed, segmentation_moving)
    train(prepared, segmentation, settings_from(assignments), out, checkpoint_dir=checkpoint_dir)

"""``wssamnet train-voxelmorph``"""

from __future__ import annotations

from wssamnet.cli.options import Checkpoints, Out, Prepared, Set, settings_from


def train_voxelmorph(prepared: Prepared, out: Out, checkpoint_dir: Checkpoints = None, assignments: Set = None) -> None:
    """Train the VoxelMorph baseline."""
    from wssamnet.training.voxelmorph import train_voxelmorph as train

    train(prepared, settings_from(assignments), out, checkpoint_dir=checkpoint_dir)

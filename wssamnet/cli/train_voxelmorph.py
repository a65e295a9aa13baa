"""``wssamnet train-voxelmorph``"""

from __future__ import annotations

from wssamnet.cli.keeping import CheckpointDir, CheckpointMinutes, TimeLimit, keeping_from
from wssamnet.cli.options import Out, Prepared, Set, settings_from
from wssamnet.cli.together import Processes, together


def train_voxelmorph(
    prepared: Prepared,
    out: Out,
    checkpoint_dir: CheckpointDir = None,
    checkpoint_minutes: CheckpointMinutes = 5,
    time_limit: TimeLimit = None,
    processes: Processes = 1,
    assignments: Set = None,
) -> None:
    """Train the VoxelMorph baseline."""
    together(processes)
    keeping = keeping_from(checkpoint_dir, checkpoint_minutes, time_limit)
    from wssamnet.training.voxelmorph import train_voxelmorph as train

    train(prepared, settings_from(assignments), out, keeping=keeping)

"""A training in several processes: this one starts them, waits, and ends as they end."""

from __future__ import annotations

import logging
import os
import signal
import sys
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from wssamnet.models.placement import Placement

Processes = Annotated[
    int,
    typer.Option(
        min=1,
        envvar="WSSAMNET_PROCESSES",
        help="Processes that share each step's pairs, one a GPU where there are any; --threads are shared out too.",
    ),
]


class Placing(StrEnum):
    """Where the three U-Nets are."""

    data_parallel = "data_parallel"
    three_devices = "three_devices"


Placed = Annotated[
    Placing,
    typer.Option(
        envvar="WSSAMNET_PLACEMENT",
        help="data_parallel: the whole network on each process's GPU; three_devices: one GPU for each of the U-Nets.",
    ),
]


def placement_from(placing: Placing) -> Placement | None:
    """The devices of the U-Nets; None leaves it to the process.

    Raises:
        SettingsError: there are GPUs, but too few.
    """
    from wssamnet.models.placement import Placement

    return Placement.three() if placing is Placing.three_devices else None


def is_one_of_several() -> bool:
    """Whether this process was started to train together with others, by us or by `torchrun`."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1


def together(processes: int) -> None:
    """Run this very command in so many processes and exit as they did; return at once in one of them, or for one.

    Exits with their status, or with 128 + the number of the signal that killed one of them.
    """
    if processes == 1 or is_one_of_several():
        return
    from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    logging.getLogger("torch.distributed").setLevel(logging.CRITICAL)  # the processes speak for themselves
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=processes,
        logs_specs=DefaultLogsSpecs(),
        run_id="wssamnet",
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        local_addr="localhost",
        max_restarts=0,
    )
    try:
        elastic_launch(config, sys.executable)("-m", "wssamnet.cli", *sys.argv[1:])
    except ChildFailedError as failed:
        statuses = [failure.exitcode for failure in failed.failures.values()]
        # those that were ended because another one had ended say nothing
        own = [status for status in statuses if status != -signal.SIGTERM] or statuses
        if min(own) < 0:
            name = signal.Signals(-min(own)).name
            print(f"wssamnet: a process of the training was killed by {name}; the others were ended", file=sys.stderr)
            sys.exit(128 - min(own))
        sys.exit(max(own))  # 85 is the largest: the state is saved
    except SignalException as ended:
        sys.exit(128 + ended.sigval)
    sys.exit(0)

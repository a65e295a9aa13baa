"""A training in several processes: this one starts them, waits, and ends as they end."""

from __future__ import annotations

import os
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
    """Run this very command in so many processes and exit as they did; return at once in one of them, or for one."""
    if processes == 1 or is_one_of_several():
        return
    from wssamnet.training.launching import launch

    sys.exit(launch(processes, [sys.executable, "-m", "wssamnet.cli", *sys.argv[1:]]))

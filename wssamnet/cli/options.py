"""Options that several verbs share."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wssamnet.errors import SettingsError

if TYPE_CHECKING:
    from wssamnet.settings import Settings
    from wssamnet.training.checkpoint import Keeping

Out = Annotated[Path, typer.Option(help="Folder of the output.")]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="One setting; see `wssamnet settings`. Repeatable."),
]
Prepared = Annotated[list[Path], typer.Argument(help="Folders of prepared cases.", metavar="PREPARED...")]
CheckpointDir = Annotated[
    Path | None,
    typer.Option(
        envvar="WSSAMNET_CHECKPOINT_DIR",
        help="Folder where the state of trainings is kept, and looked for to go on; one serves many trainings.",
    ),
]
CheckpointMinutes = Annotated[
    float, typer.Option(min=0, envvar="WSSAMNET_CHECKPOINT_MINUTES", help="Between two saves; 0 saves at every step.")
]
TimeLimit = Annotated[
    float | None,
    typer.Option(
        min=0,
        metavar="SECONDS",
        help="Wall time of this call; shortly before, a training with a checkpoint folder saves and exits with 85.",
    ),
]
SegmentationFixed = Annotated[Path, typer.Option(help="Folder of the segmentation network of the fixed scans.")]
SegmentationMoving = Annotated[Path, typer.Option(help="Folder of the segmentation network of the moving scans.")]


def settings_from(assignments: Sequence[str] | None) -> Settings:
    """Settings from ``NAME=VALUE`` words; a later one wins, and ``preset=NAME`` chooses the preset.

    Raises:
        SettingsError: a word without "=", an unknown name, or a value outside its range.
    """
    from wssamnet.settings import make_settings

    values: dict[str, str] = {}
    for assignment in assignments or ():
        name, equals, value = assignment.partition("=")
        if not equals:
            raise SettingsError(f"'{assignment}' has no value", "--set", "NAME=VALUE")
        values[name.strip()] = value.strip()
    return make_settings(values=values)


def keeping_from(folder: Path | None, minutes: float, time_limit: float | None) -> Keeping | None:
    """How a training keeps its state; its wall time begins now. None without a folder."""
    began = time.monotonic()
    from wssamnet.training.checkpoint import Keeping

    if folder is None:
        return None
    left = None if time_limit is None else time_limit - (time.monotonic() - began)
    return Keeping.until(folder, 60 * minutes, left)

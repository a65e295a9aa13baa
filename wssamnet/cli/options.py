"""Options that several verbs share."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wssamnet.errors import SettingsError

if TYPE_CHECKING:
    from wssamnet.settings import Settings


class Coordinates(StrEnum):
    """What landmark files hold; see `wssamnet.landmarks.to_lps`."""

    lps = "lps"
    ras = "ras"
    voxel = "voxel"


def writable_folder(out: Path) -> Path:
    """The output folder, which is there or can be made.

    Raises:
        WssamnetError: it is a file, or cannot be written.
    """
    from wssamnet.files import require_folder

    require_folder(out)
    return out


Out = Annotated[Path, typer.Option(help="Folder of the output.", callback=writable_folder)]
LandmarkCoordinates = Annotated[
    Coordinates,
    typer.Option(help="What the landmark files hold: lps or ras millimetres, or voxel indices of the scan from 0."),
]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="One setting; see `wssamnet settings`. Repeatable."),
]
Prepared = Annotated[list[Path], typer.Argument(help="Folders of prepared cases.", metavar="PREPARED...")]
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

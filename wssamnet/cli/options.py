"""Options that several verbs share."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wssamnet.errors import SettingsError

if TYPE_CHECKING:
    from wssamnet.settings import Settings

Out = Annotated[Path, typer.Option(help="Folder of the output.")]
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

"""``wssamnet tables``"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from wssamnet.cli.options import Out


class ErrorOfLandmark(StrEnum):
    """How the error of a landmark is taken."""

    euclidean = "euclidean"
    l1 = "l1"


def tables(
    out: Out,
    evaluations: Annotated[
        list[Path] | None,
        typer.Argument(
            help="METHOD/CASE folders from `wssamnet evaluate`.", metavar="EVALUATION...", show_default=False
        ),
    ] = None,
    error: Annotated[
        ErrorOfLandmark, typer.Option(help="Euclidean distance, or the sum over the axes.")
    ] = ErrorOfLandmark.euclidean,
    planned: Annotated[
        Path | None,
        typer.Option(help="CSV of what should be there: method, case, reason; what is not is shown as missing."),
    ] = None,
    variants: Annotated[
        Path | None,
        typer.Option(
            metavar="VARIANTS.csv",
            help="Evaluations of variants, which get a table of their own: method, variant, changes, seed, main.",
        ),
    ] = None,
) -> None:
    """Write the paper's table, one column a method, and the tables behind it."""
    from wssamnet.evaluation import write_tables

    write_tables(evaluations or [], out, error.value, planned=planned, variants=variants)

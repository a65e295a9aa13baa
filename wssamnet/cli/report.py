"""``wssamnet report``"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def report(
    tables: Annotated[Path, typer.Option(help="Folder from `wssamnet tables`.")],
    evaluation: Annotated[
        list[Path], typer.Option(metavar="FOLDER", help="METHOD/CASE folder from `wssamnet evaluate`. Repeatable.")
    ],
    model: Annotated[
        list[Path] | None, typer.Option(metavar="FOLDER", help="Folder of a trained model. Repeatable.")
    ] = None,
    fold: Annotated[
        list[int] | None, typer.Option(metavar="N", help="Fold of the model at the same place. Repeatable.")
    ] = None,
    out: Annotated[Path, typer.Option(help="The page.")] = Path("report.html"),
    figures: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Where the figures go, as PDF and SVG for a publication.")
    ] = None,
    parameter: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="A parameter of the run, to be listed. Repeatable.")
    ] = None,
    title: Annotated[str, typer.Option(help="Heading of the page.")] = "Registration report",
) -> None:
    """Write the report, one self-contained page."""
    from wssamnet.report import write_report

    listed = dict(text.partition("=")[::2] for text in parameter or [])
    write_report(
        tables, evaluation, model or [], out, title=title, figures=figures, parameters=listed, folds=fold or []
    )

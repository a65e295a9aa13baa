"""``wssamnet check-methods``"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from wssamnet.cli.options import Out
from wssamnet.errors import SettingsError


def _pairs(words: Sequence[str] | None, option: str, form: str) -> list[tuple[str, str]]:
    """NAME=VALUE words, taken apart."""
    pairs = [word.partition("=") for word in words or ()]
    for name, _, value in pairs:
        if not name or not value:
            raise SettingsError(f"'{name or value}' has no value or no name", option, form)
    return [(name, value) for name, _, value in pairs]


def check_methods(
    out: Out,
    methods: Annotated[list[str] | None, typer.Argument(help="Methods whose packages have to be installed.")] = None,
    external: Annotated[
        list[str] | None, typer.Option(metavar="NAME=FOLDER", help="Another tool's results. Repeatable.")
    ] = None,
    registrar: Annotated[
        list[str] | None, typer.Option(metavar="NAME=FILE:CLASS", help="A registrar of one's own. Repeatable.")
    ] = None,
    cases: Annotated[
        list[Path] | None, typer.Option(help="A test case from `wssamnet check`. Repeatable.", metavar="CASE.json")
    ] = None,
) -> None:
    """Before any work: are packages installed, is a registrar one, can another tool's results be used?

    Writes OUT/external.csv (method,case,file): every file of another tool that belongs to a test case.
    """
    from wssamnet.cohort import read_case
    from wssamnet.files import written_atomically
    from wssamnet.registration import checking

    found = checking.check_methods(
        methods or (),
        _pairs(registrar, "--registrar", "NAME=path/to/file.py:Class"),
        _pairs(external, "--external", "NAME=FOLDER"),
        [read_case(path) for path in cases or ()],
    )
    rows = [(name, files.case, str(path)) for name, files in found for path in files.all()]
    with written_atomically(out / "external.csv") as new, new.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([("method", "case", "file"), *rows])

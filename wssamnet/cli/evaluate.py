"""``wssamnet evaluate``"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from wssamnet.cli.options import Out
from wssamnet.cli.progress import each
from wssamnet.errors import WssamnetError


def evaluate(
    registrations: Annotated[
        list[Path],
        typer.Argument(help="METHOD/CASE folders from `wssamnet register-cases`.", metavar="REGISTRATION..."),
    ],
    prepared: Annotated[list[Path], typer.Option(metavar="FOLDER", help="Folder of a prepared case. Repeatable.")],
    cases: Annotated[list[Path], typer.Option(help="A case from `wssamnet check`. Repeatable.", metavar="CASE.json")],
    out: Out,
) -> None:
    """Judge registrations by landmarks, robustness, regularity and time."""
    from wssamnet.cohort import read_case
    from wssamnet.evaluation.case import evaluate_case, evaluated_as

    case_by_id = {case.id: case for case in map(read_case, cases)}
    folder_by_id = {folder.name: folder for folder in prepared}
    earlier: dict[tuple[str, str], Path] = {}
    for registration in registrations:
        name = registration.name
        for known, option in ((folder_by_id, "--prepared"), (case_by_id, "--cases")):
            if name not in known:
                raise WssamnetError(
                    f"case '{name}' is registered, but not among {option}", registration, f"give {option}"
                )
        key = (evaluated_as(registration), name)
        if key in earlier:
            raise WssamnetError(
                f"is {key[0]} on {name}, and so is {earlier[key]}",
                registration,
                "one; `register-cases --name` names a run",
            )
        earlier[key] = registration
    for registration in each(registrations, "evaluated", lambda folder: folder.name):
        name = registration.name
        evaluate_case(registration, folder_by_id[name], case_by_id[name], out)

"""``wssamnet external``"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from wssamnet.cli.options import Out, Prepared
from wssamnet.cli.progress import each


def external(
    name: Annotated[str, typer.Argument(help="Name of the method in the table.")],
    results: Annotated[Path, typer.Argument(help="Folder of the other tool's results; see docs/methods.md.")],
    prepared: Prepared,
    out: Out,
) -> None:
    """Take another tool's transforms or warped landmarks as those of a method, in OUT/NAME/CASE."""
    from wssamnet.preprocessing.prepared import load_prepared
    from wssamnet.registration.external import ExternalMethod
    from wssamnet.registration.methods import check_name

    check_name(name, "NAME")
    method = ExternalMethod(name, results)
    cases = [load_prepared(folder) for folder in prepared]
    for case in each(cases, f"taken from {name}:", lambda case: case.id):
        method.take(case, out)

"""``wssamnet preprocess``"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from wssamnet.cli.options import Out, Set, settings_from
from wssamnet.cli.progress import each


def preprocess(
    cases: Annotated[list[Path], typer.Argument(help="Cases from `wssamnet check`.", metavar="CASE.json...")],
    out: Out,
    assignments: Set = None,
) -> None:
    """Prepare cases: brain box, intensities, affine pre-alignment, landmarks' ROIs."""
    from wssamnet.cohort import read_case
    from wssamnet.preprocessing import prepare_case

    settings = settings_from(assignments)
    for case in each([read_case(path) for path in cases], "prepared", lambda case: case.id):
        prepare_case(case, settings, out)

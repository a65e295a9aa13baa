"""``wssamnet check``"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from wssamnet.cli.options import Coordinates, LandmarkCoordinates, Out, Set, settings_from


def check(
    cohort: Annotated[Path, typer.Argument(help="Folder as BraTSReg or BIDS lays it out, or a samplesheet CSV.")],
    out: Out,
    test_cases: Annotated[str, typer.Option(help="Ids of the test cases, with commas.")] = "",
    test_ratio: Annotated[float | None, typer.Option(help="Share of the patients to test on.")] = None,
    folds: Annotated[int, typer.Option(min=0, help="Folds of a cross-validation; 0 for one split.")] = 0,
    no_training: Annotated[
        bool,
        typer.Option("--no-training", help="Nothing is trained: every case is a test case, unless some are named."),
    ] = False,
    landmark_coordinates: LandmarkCoordinates = Coordinates.lps,
    sessions: Annotated[
        str,
        typer.Option(help="BIDS labels of the fixed and of the moving session: pre,post; numbers order themselves."),
    ] = "",
    assignments: Set = None,
) -> None:
    """Read a whole cohort, list every problem at once, and split it into training and test cases.

    One of --test-cases, --test-ratio, --folds and --no-training says how.
    """
    from wssamnet.cohort import check_roles, examine_cohort, split_cases, write_manifest

    settings = settings_from(assignments)
    tests, named = (tuple(name.strip() for name in text.split(",") if name.strip()) for text in (test_cases, sessions))
    cases = examine_cohort(cohort, settings.modalities, coordinates=landmark_coordinates.value, sessions=named)
    split = split_cases(
        [case.id for case in cases],
        test_cases=tests,
        test_ratio=test_ratio,
        folds=folds,
        seed=settings.seed,
        patients={case.id: case.patient for case in cases},
        training=not no_training,
    )
    unjudged = check_roles(cases, split)
    takes_part = {name for fold in split for name in (*fold.train, *fold.test)}
    write_manifest([case for case in cases if case.id in takes_part], split, out)
    for fold in split:
        training = "" if no_training else f"{len(fold.train)} training and "
        typer.echo(f"fold {fold.index}: {training}{len(fold.test)} test cases", err=True)
    if unjudged:
        typer.echo(f"without landmarks of the fixed scan, so not judged: {', '.join(unjudged)}", err=True)

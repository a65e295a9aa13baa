"""Programs whose names the BraTSReg challenge fixes: each is a verb of the command line."""

from __future__ import annotations

from collections.abc import Callable

import typer

from wssamnet.cli import challenge
from wssamnet.cli.app import HABITS, run


def generate_output() -> None:
    """The program ``generate_output``."""
    _run(challenge.generate_output)


def apply_deformation() -> None:
    """The program ``apply_deformation``."""
    _run(challenge.apply_deformation)


def _run(verb: Callable[..., None]) -> None:
    program = typer.Typer(**HABITS)
    program.command()(verb)
    run(program, verb.__name__)

"""Programs whose names the BraTSReg challenge fixes: each is a verb of the command line."""

from __future__ import annotations

import sys

from wssamnet.cli.app import run


def generate_output() -> None:
    """The program ``generate_output``."""
    sys.argv[1:1] = ["generate-output"]
    run()


def apply_deformation() -> None:
    """The program ``apply_deformation``."""
    sys.argv[1:1] = ["apply-deformation"]
    run()

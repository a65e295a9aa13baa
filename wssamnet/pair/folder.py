"""The output folder of one pair: new, empty, or a former result of the same command, never anything else."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from wssamnet import files

COMMAND = "wssamnet register"
_OURS = re.compile(
    r"warped(_[0-9]+)?\.nii\.gz|fixed_to_moving\.nii\.gz|moving_to_fixed\.nii\.gz|landmarks\.csv|run\.json|planes\.png"
)


def require_free(out: Path, inputs: Iterable[Path] = ()) -> None:
    """Refuse a folder that holds anything but a former result, or an input; see `wssamnet.files.require_free`."""
    files.require_free(out, _OURS, ("run.json", "command", COMMAND), inputs)

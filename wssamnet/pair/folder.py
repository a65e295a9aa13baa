"""The output folder of one pair: new, empty, or a former result of the same command, never anything else."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path

from wssamnet.errors import WssamnetError

COMMAND = "wssamnet register"
_OURS = re.compile(
    r"warped(_[0-9]+)?\.nii\.gz|fixed_to_moving\.nii\.gz|moving_to_fixed\.nii\.gz|landmarks\.csv|run\.json|planes\.png"
)


def _is_former_result(folder: Path) -> bool:
    try:
        record = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(record, dict) and record.get("command") == COMMAND


def require_free(out: Path, inputs: Iterable[Path] = ()) -> None:
    """Refuse a folder that holds anything but a former result, or an input.

    Raises:
        WssamnetError: `out` is a file or a broken link, or holds an input, or files that this command did not write.
    """
    if out.is_symlink() and not out.exists():
        raise WssamnetError("is a link that leads nowhere", out, "another --out")
    if out.exists() and not out.is_dir():
        raise WssamnetError("exists and is not a folder", out, "another --out")
    content = sorted(path.name for path in out.iterdir()) if out.is_dir() else []
    strange = [name for name in content if not _OURS.fullmatch(name)]
    if content and (strange or not _is_former_result(out)):
        some = ", ".join((strange or content)[:3])
        raise WssamnetError(f"holds files that are no former result of this command: {some}", out, "another --out")
    for path in inputs:
        if out.exists() and path.exists() and path.resolve().parent == out.resolve():
            raise WssamnetError(f"holds {path.name}, one of the inputs, and would be replaced", out, "another --out")

"""What should have been evaluated, and why some of it is missing: a run's own account of itself."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path

from wssamnet.errors import WssamnetError

COLUMNS = ("method", "case", "reason")
Planned = Mapping[tuple[str, str], str]
"""(method, case) → why its evaluation is missing, "" where it is there or nobody knows."""


def read_planned(path: Path) -> dict[tuple[str, str], str]:
    """Read a CSV with the columns method, case and reason.

    Args:
        path: one row a planned registration; the reason is empty for those that went well.

    Raises:
        WssamnetError: it cannot be read, lacks a column or a name, or a method's case occurs twice.
    """
    right = f"a CSV with the columns {', '.join(COLUMNS)}"
    planned: dict[tuple[str, str], str] = {}
    try:
        with Path(path).open(encoding="utf-8", newline="") as stream:
            reader = csv.DictReader(stream)
            lacking = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
            if lacking:
                raise WssamnetError(f"has no column {', '.join(lacking)}", path, right)
            for row in reader:
                key = (row["method"], row["case"])
                if not all(key):
                    raise WssamnetError(f"line {reader.line_num} names no method or no case", path, right)
                if key in planned:
                    raise WssamnetError(f"{key[0]} on {key[1]} occurs twice", path, "one row each")
                planned[key] = (row["reason"] or "").strip()
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise WssamnetError(f"cannot be read: {error}", path, right) from None
    return planned

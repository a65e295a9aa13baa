"""The cases of the page, one at a time: figures, still pictures, and what the viewer is given."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from wssamnet.evaluation.results import Result
from wssamnet.report.pictures import Strip, read_strip
from wssamnet.report.viewer import case_volumes


@dataclass(frozen=True)
class CaseLine:
    """The figures of one case: `rows` one a method, `before` any of them (the initial errors are the case's)."""

    case: str
    landmarks: int
    before: dict[str, Any]
    rows: dict[str, dict[str, Any]]

    @property
    def faulty(self) -> list[str]:
        """Methods that failed on the case, or of which figures are missing."""
        return [method for method, row in self.rows.items() if row["status"] != "ok"]


@dataclass(frozen=True)
class MethodView:
    """One method's row in a case: its figures, and its pictures where it has any."""

    method: str
    figures: dict[str, Any]
    strip: Strip | None


@dataclass(frozen=True)
class CaseView:
    """One case of the page.

    Args:
        number: its place among the cases, from 0.
        line: its figures.
        reference: the still pictures of the fixed and the moving scan; None where no method has pictures.
        methods: every method but identity, which shows what "before registration" shows.
        volumes: for the viewer; see `report.viewer`.
    """

    number: int
    line: CaseLine
    reference: Strip | None
    methods: list[MethodView]
    volumes: dict[str, Any] | None


def case_lines(cases: pd.DataFrame) -> list[CaseLine]:
    """One line a case, sorted by name."""
    lines = []
    for case, table in cases.groupby("case", sort=True):
        rows = {str(row["method"]): {str(key): value for key, value in row.items()} for row in table.to_dict("records")}
        count = table["landmarks"].max()
        lines.append(CaseLine(str(case), 0 if pd.isna(count) else int(count), next(iter(rows.values())), rows))
    return lines


def case_views(
    results: Sequence[Result], lines: Sequence[CaseLine], methods: Sequence[str], error: str
) -> Iterator[CaseView]:
    """The cases one by one, so that the pictures of one alone are held in memory.

    Args:
        results: all evaluations.
        lines: `case_lines`.
        methods: in the order to be shown.
        error: "euclidean" or "l1".
    """
    folder = {(result.method, result.case): result.folder for result in results}
    for number, line in enumerate(lines):
        folders = {method: folder[method, line.case] for method in methods if (method, line.case) in folder}
        strips = {method: read_strip(path / "planes.npz") for method, path in folders.items()}
        reference = next((strip for strip in strips.values() if strip is not None), None)
        shown = [
            MethodView(method, line.rows[method], strips.get(method)) for method in methods if method != "identity"
        ]
        yield CaseView(number, line, reference, shown, case_volumes(folders, error))

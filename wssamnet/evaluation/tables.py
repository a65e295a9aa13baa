"""The paper's Table 1 over a cohort, and the tables beneath it.

``<out>/``

    table1.csv, table1.md, table1.tex, table1.json   rows of the paper, one column a method
    per_case.csv, per_landmark.csv                   what it is made of
    statistics.csv                                   comparisons of methods

with the tables of `evaluation.where` and, where some evaluations are of variants, of `evaluation.ablations`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from wssamnet.errors import WssamnetError
from wssamnet.evaluation.ablations import ABLATIONS, read_runs, write_ablations
from wssamnet.evaluation.errors import ErrorKind, check_kind
from wssamnet.evaluation.formats import cell_text, latex, markdown
from wssamnet.evaluation.paper import PAPER, PAPER_NOTE
from wssamnet.evaluation.planned import Planned, read_planned
from wssamnet.evaluation.results import (
    ERROR_FIGURES,
    NONE_PLANNED,
    Result,
    cases_of,
    failed_lines,
    machine_of,
    methods_of,
    per_case,
    per_landmark,
    read_results,
)
from wssamnet.evaluation.statistics import compare
from wssamnet.evaluation.where import write_where
from wssamnet.files import write_json, written_atomically

BEFORE = "before registration"
_NOTHING: pd.Series[float] = pd.Series(dtype=float)


@dataclass(frozen=True)
class _Kind:
    """How one row comes from the cases' figures."""

    key: str
    label: str
    unit: str
    decimals: int
    figure: str
    over_cases: Callable[[Any], Any]
    scale: float = 1.0


_KINDS = (
    _Kind("median_median", "Median of median AE", "mm", 2, "median", np.median),
    _Kind("mean_median", "Mean of median AE", "mm", 2, "median", np.mean),
    _Kind("median_mean", "Median of mean AE", "mm", 2, "mean", np.median),
    _Kind("mean_mean", "Mean of mean AE", "mm", 2, "mean", np.mean),
    _Kind("mean_robustness", "Mean robustness", "", 2, "robustness", np.mean),
    _Kind("median_robustness", "Median robustness", "", 2, "robustness", np.median),
    _Kind("seconds", "Mean time", "s", 2, "seconds", np.mean),
    _Kind("minutes", "Mean time", "min", 3, "seconds", np.mean, 1 / 60),
    _Kind("folding", "Mean share of folding voxels", "%", 3, "folding", np.mean, 100),
    _Kind("sd_log_jacobian", "Mean SD of log det J", "", 3, "sd_log_jacobian", np.mean),
)


@dataclass(frozen=True)
class Column:
    """One column: its name, and whether it is the paper's own (`reference`)."""

    name: str
    reference: bool = False

    @property
    def heading(self) -> str:
        """The name as printed."""
        return f"{self.name} ({PAPER_NOTE})" if self.reference else self.name


@dataclass(frozen=True)
class Row:
    """One row: `values` and the cases behind each (`n`), one a column; None where there is none."""

    key: str
    label: str
    unit: str
    decimals: int
    values: tuple[float | None, ...]
    n: tuple[int | None, ...]

    @property
    def heading(self) -> str:
        """The label with its unit."""
        return f"{self.label}, {self.unit}" if self.unit else self.label


@dataclass(frozen=True)
class Table:
    """Table 1: `cases` is how many a complete column has; `notes` and `failures` belong beneath it."""

    error: str
    cases: int
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...]
    failures: tuple[str, ...]

    @classmethod
    def read(cls, path: Path) -> Table:
        """Read ``table1.json``.

        Raises:
            WssamnetError: there is none, or it is not such a table.
        """
        try:
            content = json.loads(Path(path).read_text(encoding="utf-8"))
            columns = tuple(Column(**column) for column in content["columns"])
            rows = tuple(
                Row(**{**row, "values": tuple(row["values"]), "n": tuple(row["n"])}) for row in content["rows"]
            )
            return cls(
                content["error"], content["cases"], columns, rows, tuple(content["notes"]), tuple(content["failures"])
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise WssamnetError(f"is not a table: {error}", path, "made by `wssamnet tables`") from None


def table_one(results: Sequence[Result], error: ErrorKind = "euclidean", planned: Planned = NONE_PLANNED) -> Table:
    """Put the paper's Table 1 together.

    Args:
        results: all methods' evaluations.
        error: kind of the landmark error.
        planned: what should be there besides; it is shown as missing.

    Returns:
        before registration, one column a method, the paper's own columns. A figure is taken over the
        cases that have it; where these are not all, its `n` says so.
    """
    frame = per_case(results, error, planned)
    methods, cases = methods_of(results, planned), cases_of(results, planned)
    before = frame.drop_duplicates("case")
    columns = [Column(BEFORE), *map(Column, methods), *(Column(name, reference=True) for name in PAPER)]
    devices = set(frame.loc[frame["seconds"].notna(), "device"].fillna("unknown"))
    judged = bool(frame["landmarks"].notna().any())
    lacking = {method: _lacking([result for result in results if result.method == method]) for method in methods}
    rows = []
    for kind in _KINDS:
        values: list[float | None] = []
        counts: list[int | None] = []
        for column in columns:
            if column.reference:
                values.append(PAPER[column.name].get(kind.key))
                counts.append(None)
                continue
            if column.name == BEFORE:
                known = before.get(f"initial_{kind.figure}", _NOTHING).dropna()
                applies = judged and kind.figure in ("median", "mean")
            else:
                known = frame.loc[frame["method"] == column.name, kind.figure].dropna()
                applies = judged if kind.figure in ERROR_FIGURES else kind.figure not in lacking.get(column.name, ())
            values.append(float(kind.over_cases(known.to_numpy())) * kind.scale if len(known) else None)
            counts.append(len(known) if applies else None)
        label = kind.label
        if kind.figure == "seconds" and devices == {"cpu"}:
            label = "Mean time on CPU"
        rows.append(Row(kind.key, label, kind.unit, kind.decimals, tuple(values), tuple(counts)))
    notes = tuple(_notes(frame, results, methods_of(results), error))
    return Table(error, len(cases), tuple(columns), tuple(rows), notes, tuple(_failures(frame)))


def _lacking(own: Sequence[Result]) -> set[str]:
    """Figures that a method has on none of its cases, and that nothing failed for: another tool may give no field, or
    no time."""
    if not own:
        return set()
    without_time = all(result.run and not result.run.get("seconds") for result in own)
    alone = all(result.run.get("landmarks_alone") for result in own)
    return ({"seconds"} if without_time else set()) | ({"folding", "sd_log_jacobian"} if alone else set())


def _failures(frame: pd.DataFrame) -> list[str]:
    return [
        f"{where}: {status} ({problems or 'no reason recorded'})." for where, status, problems in failed_lines(frame)
    ]


def _notes(frame: pd.DataFrame, results: Sequence[Result], methods: Sequence[str], error: ErrorKind) -> list[str]:
    cases = frame["case"].nunique()
    landmarks = int(frame.groupby("case")["landmarks"].max().fillna(0).sum())
    kind = "Euclidean distance" if error == "euclidean" else "sum of the absolute differences over the axes (l1)"
    notes = [f"AE: {kind}; {cases} cases, {landmarks} landmarks; a figure over fewer cases says over how many (n)."]
    zero = frame.groupby("case")["zero_initial"].max().fillna(0).sum()
    if zero:
        notes.append(
            f"Landmarks without any error before registration, which can never count as improved: {int(zero)}."
        )
    timed = [method for method in methods if frame.loc[frame["method"] == method, "seconds"].notna().any()]
    machines = {method: machine_of(results, method) for method in timed}
    alike = len(set(machines.values())) == 1
    where = f"all on {machines[timed[0]]}" if alike else "; ".join(f"{m} on {machines[m]}" for m in timed)
    if timed:
        notes.append(f"Time: registration alone, without start-up, reading and writing; {where}.")
    untimed = [method for method in methods if method not in timed]
    if untimed:
        notes.append(f"Without a time of their own: {', '.join(untimed)}.")
    started = [method for method in methods if frame.loc[frame["method"] == method, "prealigned_by"].notna().any()]
    start = frame.groupby("case")["prealign_seconds"].max().dropna()
    if started and start.max() >= 0.005:  # an identity that was asked for takes no time
        notes.append(
            "The affine start from preprocessing is not in the time of "
            f"{', '.join(started)}: {start.mean():.2f} s a case."
        )
    notes.append("Folding: det J <= 0; both figures of det J inside the brain of the fixed scan.")
    notes.append(
        f"Columns marked ({PAPER_NOTE}): the paper's own Table 1, other data and machines, for reference; "
        "its errors fit the l1 kind on rounded landmarks."
    )
    return notes


def _table_csv(table: Table) -> pd.DataFrame:
    """Numbers only: row, unit, then a column each, then the n of each column of ours."""
    frame = pd.DataFrame({"row": [row.label for row in table.rows], "unit": [row.unit for row in table.rows]})
    for index, column in enumerate(table.columns):
        frame[column.heading] = [row.values[index] for row in table.rows]
    for index, column in enumerate(table.columns):
        if not column.reference:
            frame[f"n {column.name}"] = pd.array([row.n[index] for row in table.rows], dtype="Int64")
    return frame


def write_tables(
    evaluations: Sequence[Path],
    out: Path,
    error: str = "euclidean",
    *,
    planned: Path | None = None,
    variants: Path | None = None,
    seed: int = 0,
) -> Path:
    """Write all tables, each file whole or not at all.

    Args:
        evaluations: ``<method>/<case>`` folders of `evaluate_case`, or roots that hold such folders.
        out: the folder.
        error: "euclidean" or "l1".
        planned: CSV of what should have been evaluated, as `read_planned` reads it; None where nobody planned.
        variants: which evaluations are of variants (`ablations.read_runs`); they have a table of their own, and those
            that are not main stay out of the others.
        seed: of the bootstrap.

    Returns:
        the folder.

    Raises:
        SettingsError: an unknown kind of error.
        WssamnetError: a folder holds no evaluation, a method's case occurs twice, there is none at all, `variants`
            cannot be used, or all evaluations are of variants.
    """
    kind = check_kind(error)
    intended = NONE_PLANNED if planned is None else read_planned(planned)
    if intended and not evaluations:
        why = next(filter(None, intended.values()), "")
        raise WssamnetError(f"none of {len(intended)} planned registrations succeeded", remedy=why)
    results = read_results(evaluations)
    runs = [] if variants is None else read_runs(variants)
    beside = {run.method for run in runs if not run.main}
    main = [result for result in results if result.method not in beside]
    if not main:
        raise WssamnetError("there is no evaluation but of variants", variants, "a method for the main table")
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    for former in ABLATIONS:  # of a run that had variants
        (out / former).unlink(missing_ok=True)
    if runs:
        write_ablations(results, runs, out, kind, intended, seed=seed)
    results = main
    table = table_one(results, kind, intended)
    cases = per_case(results, kind, intended)
    landmarks, methods = per_landmark(results), methods_of(results, intended)
    frames = {
        "table1.csv": _table_csv(table),
        "per_case.csv": cases,
        "per_landmark.csv": landmarks,
        "statistics.csv": compare(cases, methods, seed=seed),
    }
    for name, frame in frames.items():
        with written_atomically(out / name) as temporary:
            frame.to_csv(temporary, index=False, float_format="%.6g")
    write_where(landmarks, cases, methods, BEFORE, kind, out)
    headings = [column.heading for column in table.columns]
    body = [(row.heading, cells(table, row)) for row in table.rows]
    for name, render in (("table1.md", markdown), ("table1.tex", latex)):
        with written_atomically(out / name) as temporary:
            temporary.write_text(render(headings, body, (*table.notes, *table.failures)), encoding="utf-8")
    write_json(out / "table1.json", asdict(table))
    return out


def cells(table: Table, row: Row) -> list[str]:
    """A row as text, one cell a column; n is written where a figure does not rest on every case."""
    return [
        # the paper prints two decimals; more would claim what it does not say
        cell_text(value, n, min(row.decimals, 2) if column.reference else row.decimals, table.cases)
        for column, value, n in zip(table.columns, row.values, row.n, strict=True)
    ]

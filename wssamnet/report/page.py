"""The report: one self-contained page, readable without network and on paper."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from wssamnet.errors import WssamnetError
from wssamnet.evaluation.ablations import HEADINGS, variant_notes, variant_rows
from wssamnet.evaluation.results import Result, read_results
from wssamnet.evaluation.statistics import METRICS
from wssamnet.evaluation.tables import BEFORE, Table
from wssamnet.files import written_atomically
from wssamnet.report.content import (
    Model,
    differing_settings,
    downloads,
    method_rows,
    problem_lines,
    read_models,
    read_table,
    table_rows,
    versions,
)
from wssamnet.report.figures import (
    Drawing,
    box_plot,
    cumulative_curve,
    error_against_initial,
    method_colours,
    save_figures,
    to_svg,
    training_curve,
)
from wssamnet.report.pictures import SIDES, Plane, read_pictures

_HERE = Path(__file__).parent


@dataclass(frozen=True)
class CaseLine:
    """The figures of one case: `rows` one a method, `before` any of them (the initial errors are the case's)."""

    case: str
    landmarks: int
    before: dict[str, Any]
    rows: dict[str, dict[str, Any]]


@dataclass(frozen=True)
class MethodView:
    """One method's row in a case: its figures, and its pictures where it has any."""

    method: str
    figures: dict[str, Any]
    planes: list[Plane] | None


@dataclass(frozen=True)
class CaseView:
    """One case of the page."""

    number: int
    case: str
    landmarks: int
    before: dict[str, Any]
    reference: list[Plane] | None
    methods: list[MethodView]


def _case_views(results: Sequence[Result], cases: pd.DataFrame, methods: Sequence[str]) -> Iterator[CaseView]:
    """The cases one by one, so that the pictures of one alone are held in memory."""
    folder = {(result.method, result.case): result.folder for result in results}
    for number, line in enumerate(_case_lines(cases)):
        views = []
        for method in methods:
            key = (method, line.case)
            planes = read_pictures(folder[key] / "planes.npz") if key in folder else None
            views.append(MethodView(method, line.rows[method], planes))
        reference = next((view.planes for view in views if view.planes is not None), None)
        # identity shows what "before" shows: one row is enough
        shown = [view for view in views if view.method != "identity"]
        yield CaseView(number, line.case, line.landmarks, line.before, reference, shown)


def _case_lines(cases: pd.DataFrame) -> list[CaseLine]:
    """One line a case, sorted by name."""
    lines = []
    for case, table in cases.groupby("case", sort=True):
        rows = {str(row["method"]): {str(key): value for key, value in row.items()} for row in table.to_dict("records")}
        count = table["landmarks"].max()
        lines.append(CaseLine(str(case), 0 if pd.isna(count) else int(count), next(iter(rows.values())), rows))
    return lines


def _drawings(
    cases: pd.DataFrame, landmarks: pd.DataFrame, methods: Sequence[str], models: Sequence[Model], error: str
) -> dict[str, list[Drawing]]:
    unit = "Euclidean error, mm" if error == "euclidean" else "l1 error, mm"
    main, scatter = [], []
    if cases["median"].notna().any():
        main.append(
            Drawing(
                "error_by_case",
                "Median error of each case. A dot is a case, the box the middle half, the thick line the median.",
                box_plot(cases, methods, "median", f"median {unit}"),
            )
        )
    if len(landmarks):
        drawn = set(landmarks["method"])
        moved = [method for method in methods if method != "identity" and method in drawn]
        main.append(
            Drawing(
                "cumulative_error",
                "Share of all landmarks whose error is at most x. The further up and left, the better.",
                cumulative_curve(landmarks, methods, error, unit),
            )
        )
        pooled = landmarks[[f"initial_{error}", error]].to_numpy(dtype=float)
        pooled = pooled[np.isfinite(pooled)]
        limit = float(np.quantile(pooled, 0.995)) if len(pooled) else 1.0
        colours = method_colours(methods)
        scatter = [
            Drawing(
                f"error_against_initial_{re.sub(r'[^A-Za-z0-9]', '_', method)}",
                method,
                error_against_initial(landmarks, method, error, max(limit, 1e-3), colours[method]),
            )
            for method in moved
        ]
    if cases["robustness"].notna().any():
        main.append(
            Drawing(
                "robustness_by_case",
                "Robustness of each case: the share of its landmarks that came closer.",
                box_plot(cases, [method for method in methods if method != "identity"], "robustness", "robustness"),
            )
        )
    training = [
        Drawing(f"training_{number}", model.name, training_curve(model.losses, model.name))
        for number, model in enumerate(models)
        if model.losses is not None and len(model.losses)
    ]
    return {"main": main, "scatter": scatter, "training": training}


def _statistics(table: pd.DataFrame) -> dict[str, list[dict[str, Any]]]:
    """Rows of ``statistics.csv`` side by side: one a method, and one a pair, each with all metrics."""
    out: dict[str, list[dict[str, Any]]] = {"methods": [], "pairs": []}
    for (method, against), rows in table.groupby(["method", "against"], sort=False):
        by_metric = {str(row["metric"]): row for row in rows.to_dict("records")}
        line = {"method": method, "against": against, "metrics": [by_metric.get(metric) for metric in METRICS]}
        out["pairs" if against else "methods"].append(line)
    return out


def _variants(path: Path, error: str) -> dict[str, Any] | None:
    """Headings, rows and notes of the table of variants; None where nothing was varied."""
    if not path.is_file():
        return None
    table = read_table(path)
    return {"headings": HEADINGS, "rows": variant_rows(table), "notes": variant_notes(table, error)}


def _number(value: Any, decimals: int = 2, missing: str = "–") -> str:
    """A figure as text; a dash where there is none."""
    return missing if value is None or pd.isna(value) else f"{float(value):.{decimals}f}".replace("-", "−")


def _probability(value: Any) -> str:
    if value is None or pd.isna(value):
        return "–"
    return "< 0.001" if value < 0.001 else f"{float(value):.3f}"


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_HERE),
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["number"] = _number
    environment.filters["probability"] = _probability
    return environment


def write_report(
    tables: Path,
    evaluations: Sequence[Path],
    models: Sequence[Path],
    out: Path,
    *,
    title: str = "Registration report",
    figures: Path | None = None,
) -> Path:
    """Write the report, whole or not at all; nothing in it is fetched from anywhere.

    Args:
        tables: folder made by `evaluation.write_tables`.
        evaluations: ``<method>/<case>`` folders of the same evaluations, or roots that hold such folders.
        models: folders of the trained networks; may be empty.
        out: the HTML file.
        title: of the page.
        figures: a folder for the figures as PDF and SVG; None for none.

    Returns:
        `out`.

    Raises:
        WssamnetError: the tables or an evaluation cannot be read, or the two do not belong together.
    """
    tables, out = Path(tables), Path(out)
    table = Table.read(tables / "table1.json")
    cases = read_table(tables / "per_case.csv")
    landmarks = read_table(tables / "per_landmark.csv")
    results = read_results(evaluations)
    # a method or a case that is missing everywhere is in the tables alone
    methods = [column.name for column in table.columns if not column.reference and column.name != BEFORE]
    known = cases[cases["status"] != "missing"]
    if set(zip(known["method"], known["case"], strict=True)) != {(result.method, result.case) for result in results}:
        raise WssamnetError("are not the tables of these evaluations", tables, "run `wssamnet tables` on the same")
    trained = read_models(models)
    drawings = _drawings(cases, landmarks, methods, trained, table.error)
    if figures is not None:
        save_figures([drawing for group in drawings.values() for drawing in group], Path(figures))
    inline = {
        group: [(Markup(to_svg(drawing.figure, drawing.name)), drawing.caption) for drawing in members]
        for group, members in drawings.items()
    }
    names, settings = differing_settings(trained)
    page = _environment().get_template("template.html")
    stream = page.stream(
        title=title,
        style=Markup((_HERE / "style.css").read_text(encoding="utf-8")),
        table=table,
        before=BEFORE,
        rows=table_rows(table),
        ours=sum(not column.reference for column in table.columns),
        problems=problem_lines(cases),
        figures=inline,
        statistics=_statistics(read_table(tables / "statistics.csv")),
        variants=_variants(tables / "ablations.csv", table.error),
        methods=methods,
        colours=method_colours(methods),
        method_rows=method_rows(results, cases, methods),
        matrix=_case_lines(cases),
        cases=_case_views(results, cases, methods),
        sides=SIDES,
        models=trained,
        settings_names=names,
        settings=settings,
        versions=versions(results, trained),
        downloads=downloads(tables),
    )
    with written_atomically(out) as temporary, temporary.open("wb") as file:
        stream.dump(file, encoding="utf-8")
    return out

"""The report: one self-contained page, readable without network and on paper."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from wssamnet.errors import WssamnetError
from wssamnet.evaluation.ablations import HEADINGS, variant_notes, variant_rows
from wssamnet.evaluation.formats import probability
from wssamnet.evaluation.results import read_results
from wssamnet.evaluation.statistics import METRICS
from wssamnet.evaluation.tables import BEFORE, Table
from wssamnet.files import written_atomically
from wssamnet.report.cases import case_lines, case_views
from wssamnet.report.content import (
    Model,
    differing_settings,
    downloads,
    method_rows,
    problem_lines,
    read_models,
    read_table,
    run_facts,
    table_rows,
    versions,
)
from wssamnet.report.figures import (
    Drawing,
    box_plot,
    cumulative_curve,
    error_against_initial,
    landmark_pictures,
    method_colours,
    save_figures,
    to_svg,
    training_curve,
)
from wssamnet.report.pictures import picture_uri
from wssamnet.report.where import read_where

_HERE = Path(__file__).parent
_SCRIPTS = ("volumes.js", "drawing.js", "viewer.js", "opening.js")


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
                "Share of a method's landmarks whose error is at most x. The further up and left, the better, "
                "where all have the same cases.",
                cumulative_curve(landmarks, methods, error, unit),
            )
        )
        pooled = landmarks[[f"initial_{error}", error]].to_numpy(dtype=float)
        pooled = pooled[np.isfinite(pooled)]
        limit = float(np.quantile(pooled, 0.995)) if len(pooled) else 1.0
        colours = method_colours(methods)
        scatter = [
            Drawing(
                f"error_against_initial_{method}",
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
    further = [
        Drawing(f"{name}_by_case", caption, box_plot(cases, methods, figure, label))
        for name, figure, label, caption in (
            ("regularity", "sd_log_jacobian", "SD of log det J", "How unevenly each case's volume changes."),
            ("time", "seconds", "seconds", "Registration of each case, without start-up, reading and writing."),
        )
        if cases[figure].notna().any()
    ]
    return {"main": main, "scatter": scatter, "further": further, "training": training}


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


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_HERE),
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["number"] = _number
    environment.filters["probability"] = probability
    environment.filters["picture"] = lambda pixels: picture_uri(pixels, 80)  # small ones need the quality
    return environment


def _script() -> str:
    """The page's own script: the files in one scope."""
    parts = [(_HERE / name).read_text(encoding="utf-8") for name in _SCRIPTS]
    return '(() => {\n"use strict";\n' + "\n".join(parts) + "})();\n"


def write_report(
    tables: Path,
    evaluations: Sequence[Path],
    models: Sequence[Path],
    out: Path,
    *,
    title: str = "Registration report",
    figures: Path | None = None,
    parameters: Mapping[str, str] | None = None,
    folds: Sequence[int] = (),
) -> Path:
    """Write the report, whole or not at all; nothing in it is fetched from anywhere.

    Args:
        tables: folder made by `evaluation.write_tables`.
        evaluations: ``<method>/<case>`` folders of the same evaluations, or roots that hold such folders.
        models: folders of the trained networks; may be empty.
        out: the HTML file.
        title: of the page.
        figures: a folder for the figures as PDF and SVG; None for none.
        parameters: of the pipeline that made all this, to be listed.
        folds: of the models, one each, where they are known.

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
    trained = read_models(models, folds)
    drawings = _drawings(cases, landmarks, methods, trained, table.error)
    lines, script = case_lines(cases), _script()
    where = read_where(tables, results, cases, landmarks, methods, {line.case: n for n, line in enumerate(lines)})
    if figures is not None:
        shown = [drawing for group in drawings.values() for drawing in group]
        if pictured := [worst for worst in where.worst if worst.panels]:
            shown.append(Drawing("worst_landmarks", "", landmark_pictures(pictured, where.size)))
        save_figures(shown, Path(figures))
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
        problems=problem_lines(cases, trained),
        figures=inline,
        statistics=_statistics(read_table(tables / "statistics.csv")),
        where=where,
        variants=_variants(tables / "ablations.csv", table.error),
        methods=methods,
        colours=method_colours(methods),
        method_rows=method_rows(results, cases, methods),
        matrix=lines,
        cases=case_views(results, lines, methods, table.error),
        facts=run_facts(results, cases, trained, table.error),
        parameters=sorted((parameters or {}).items()),
        script=Markup(script),
        # the page may run this script alone, and load nothing
        script_digest=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii"),
        models=trained,
        settings_names=names,
        settings=settings,
        versions=versions(results, trained),
        downloads=downloads(tables),
    )
    with written_atomically(out) as temporary, temporary.open("wb") as file:
        stream.dump(file, encoding="utf-8")
    return out

"""What the page says, gathered from the tables, the evaluations and the models."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from wssamnet.errors import WssamnetError
from wssamnet.evaluation.formats import cell_text
from wssamnet.evaluation.results import Result, failed_lines, methods_of
from wssamnet.evaluation.tables import BEFORE, Table

_DOWNLOAD_LIMIT = 1_000_000  # bytes; a larger table stays beside the report
_TEXT = (
    "variant",
    "changes",
    "method",
    "case",
    "against",
    "metric",
    "status",
    "error",
    "device",
    "prealigned_by",
    "problems",
)
_BEST_LOW = ("median_median", "mean_median", "median_mean", "mean_mean")
_BEST_HIGH = ("mean_robustness", "median_robustness")


@dataclass(frozen=True)
class Cell:
    """One cell of Table 1: its text, n where not every case is behind it, and whether it is the best."""

    text: str
    n: int | None = None
    best: bool = False
    reference: bool = False


@dataclass(frozen=True)
class Model:
    """One trained network.

    Args:
        name: its stage, with the fold, or else the folder's name, where several are of one stage.
        record: ``training.json``.
        settings: ``settings.json``'s settings.
        losses: ``losses.csv``.
    """

    name: str
    record: dict[str, Any]
    settings: dict[str, Any]
    losses: pd.DataFrame | None


def read_table(path: Path) -> pd.DataFrame:
    """A table of `evaluation.tables`, text columns as text.

    Raises:
        WssamnetError: it is missing or no table.
    """
    try:
        # all as text first: a case may be called NA, or 007
        frame = pd.read_csv(path, dtype=str, keep_default_na=False)
        for column in frame.columns.difference(list(_TEXT)):
            frame[column] = pd.to_numeric(frame[column])
    except (OSError, ValueError) as error:
        raise WssamnetError(f"cannot be read: {error}", path, "a folder made by `wssamnet tables`") from None
    return frame


def table_rows(table: Table) -> list[tuple[str, str, list[Cell]]]:
    """Label, unit and cells of each row of Table 1; the best of our methods with the most cases is marked."""
    rows = []
    for row in table.rows:
        own = [not column.reference and column.name != BEFORE for column in table.columns]
        most = max((n for mine, n in zip(own, row.n, strict=True) if mine and n is not None), default=0)
        # easier cases alone would make any method the best
        whole = [mine and n == most for mine, n in zip(own, row.n, strict=True)]
        ours = [value for value, counts in zip(row.values, whole, strict=True) if counts and value is not None]
        best = None
        if len(ours) > 1 and row.key in _BEST_LOW + _BEST_HIGH:
            best = round(min(ours) if row.key in _BEST_LOW else max(ours), row.decimals)
        cells = []
        for column, value, n, counts in zip(table.columns, row.values, row.n, whole, strict=True):
            decimals = min(row.decimals, 2) if column.reference else row.decimals
            cells.append(
                Cell(
                    cell_text(value, None if value is not None else n, decimals, table.cases),
                    n if value is not None and n not in (None, table.cases) else None,
                    counts and value is not None and best is not None and round(value, row.decimals) == best,
                    column.reference,
                )
            )
        rows.append((row.label, row.unit, cells))
    return rows


def problem_lines(cases: pd.DataFrame, models: Sequence[Model] = ()) -> list[tuple[str, str, str]]:
    """(method and case, or training; what; status) of all that failed, is missing or was warned of; failures first."""
    lines = [(where, problems or "some figures are missing", status) for where, status, problems in failed_lines(cases)]
    warned = cases[(cases["status"] == "ok") & (cases["problems"] != "")]
    lines += [
        (f"{method}, {case}", problems, "warning")
        for method, case, problems in zip(warned["method"], warned["case"], warned["problems"], strict=True)
    ]
    lines += [(model.name, text, "warning") for model in models for text in model.record.get("problems", [])]
    order = {"missing": 0, "incomplete": 1, "warning": 2}
    return sorted(lines, key=lambda line: (order.get(line[2], 0), line[0]))


def _read_json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except ValueError as error:
        raise WssamnetError(f"is damaged: {error}", path, "train again") from None


def read_models(folders: Sequence[Path], folds: Sequence[int] = ()) -> list[Model]:
    """The trained networks, in the order given.

    Args:
        folders: of trained networks.
        folds: the fold of each, where they are known.

    Raises:
        WssamnetError: a folder holds neither ``training.json`` nor ``losses.csv``, or they are damaged.
    """
    if folds and len(folds) != len(folders):
        raise WssamnetError(f"{len(folders)} models and {len(folds)} folds are given", remedy="a fold for each model")
    models = []
    for number, folder in enumerate(map(Path, folders)):
        record, settings = _read_json(folder / "training.json"), _read_json(folder / "settings.json")
        losses = None
        if (folder / "losses.csv").is_file():
            losses = read_table(folder / "losses.csv")
            if "step" not in losses:
                raise WssamnetError("has no column 'step'", folder / "losses.csv", "losses.csv of a training")
        if not record and losses is None:
            raise WssamnetError("holds no record of a training", folder, "a folder of a `wssamnet train-…` verb")
        stage = str(record.get("stage") or folder.name)
        place = f", fold {folds[number]}" if folds else f" ({folder.name})"
        models.append((stage, place, Model(stage, record, dict(settings.get("settings") or settings), losses)))
    stages = [stage for stage, _, _ in models]
    return [
        Model(stage if stages.count(stage) == 1 else f"{stage}{place}", model.record, model.settings, model.losses)
        for stage, place, model in models
    ]


def method_rows(results: Sequence[Result], cases: pd.DataFrame, methods: Sequence[str]) -> list[dict[str, Any]]:
    """One row a method: regularity over cases, seconds by part, device, threads, preset."""
    rows = []
    for method in methods:
        own = [result for result in results if result.method == method]
        table = cases[cases["method"] == method]
        parts: dict[str, float] = {}
        for part in ("start_up", "load", "register", "write"):
            seconds = [(result.run.get("seconds") or {}).get(part) for result in own]
            known = [float(value) for value in seconds if value is not None]
            if known:
                parts[part] = sum(known) / len(known)
        smallest = [
            float(result.metrics["regularity"]["smallest"]) for result in own if result.metrics.get("regularity")
        ]
        rows.append(
            {
                "method": method,
                "n": len(own),
                "folding_mean": table["folding"].mean(),
                "folding_max": table["folding"].max(),
                "sd": table["sd_log_jacobian"].mean(),
                "smallest": min(smallest) if smallest else None,
                "seconds": parts,
                "slowest": table["seconds"].max(),
                "device": _distinct(own, "device"),
                "threads": _distinct(own, "threads"),
                "seed": _distinct(own, "seed"),
                "preset": _distinct(own, "preset"),
                "prealigned_by": _distinct(own, "prealigned_by"),
            }
        )
    return rows


def run_facts(
    results: Sequence[Result], cases: pd.DataFrame, models: Sequence[Model], error: str
) -> list[tuple[str, str]]:
    """(name, value) of what was run and on what; only what the records say."""
    landmarks = cases.groupby("case")["landmarks"].max().dropna()
    facts = [("Cases", str(cases["case"].nunique()))]
    if len(landmarks):
        each = f"{int(landmarks.min())} to {int(landmarks.max())} a case"
        without = cases["case"].nunique() - len(landmarks)
        facts.append(
            ("Landmarks", f"{int(landmarks.sum())}, {each}" + (f"; {without} cases without" if without else ""))
        )
    for side in ("fixed", "moving"):
        grids = {_grid_text((result.metrics.get("grids") or {}).get(side)) for result in results} - {""}
        if grids:
            shown = sorted(grids)
            more = f" and {len(shown) - 3} other grids" if len(shown) > 3 else ""
            facts.append((f"{side.capitalize()} scans", "; ".join(shown[:3]) + more))
    facts.append(("Methods", ", ".join(methods_of(results))))
    start = _distinct(results, "prealigned_by")
    if start:
        facts.append(("Pre-aligned by", start))
    trained = sorted({len(set(model.record["cases"])) for model in models if model.record.get("cases")})
    if trained:
        each = str(trained[0]) if len(trained) == 1 else f"{trained[0]} to {trained[-1]}"
        facts.append(("Trained on", f"{each} {'case' if trained == [1] else 'cases'}"))
    facts.append(("Error of a landmark", "Euclidean distance, mm" if error == "euclidean" else "sum over the axes, mm"))
    facts.append(("Device", _distinct(results, "device") or "not recorded"))
    return facts


def _grid_text(grid: dict[str, Any] | None) -> str:
    if not grid:
        return ""
    return f"{' × '.join(map(str, grid['shape']))} of {' × '.join(f'{mm:g}' for mm in grid['spacing'])} mm"


def _distinct(results: Sequence[Result], name: str) -> str:
    values = sorted({str(result.run[name]) for result in results if result.run.get(name) is not None})
    return ", ".join(values)


def versions(results: Sequence[Result], models: Sequence[Model]) -> list[tuple[str, str]]:
    """Every package that a record names, with its version or versions."""
    found: dict[str, set[str]] = {}
    for record in (*(result.run for result in results), *(model.record for model in models)):
        for package, version in (record.get("versions") or {}).items():
            found.setdefault(str(package), set()).add(str(version))
    return [(package, ", ".join(sorted(found[package]))) for package in sorted(found)]


def differing_settings(models: Sequence[Model]) -> tuple[list[str], list[tuple[str, list[str]]]]:
    """All settings: names of the distinct sets, and one row a setting with its value in each set.

    Models that were trained with the same settings share a column.
    """
    sets: dict[str, tuple[list[str], dict[str, Any]]] = {}
    for model in models:
        if model.settings:
            key = json.dumps(model.settings, sort_keys=True)
            sets.setdefault(key, ([], model.settings))[0].append(model.name)
    names = [", ".join(of) for of, _ in sets.values()]
    every = sorted({name for _, values in sets.values() for name in values})
    rows = [(name, [_plain(values.get(name)) for _, values in sets.values()]) for name in every]
    return names, rows


def _plain(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return "–" if value is None else str(value)


def downloads(tables: Path) -> list[tuple[str, str]]:
    """(name, data URI) of each table small enough to travel in the page."""
    found = []
    for path in sorted(tables.iterdir()):
        if path.suffix in (".csv", ".md", ".tex") and path.stat().st_size <= _DOWNLOAD_LIMIT:
            content = base64.b64encode(path.read_bytes()).decode("ascii")
            found.append((path.name, f"data:text/plain;base64,{content}"))
    return found

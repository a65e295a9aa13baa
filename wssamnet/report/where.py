"""Where the error is, for the page: a table by distance to the lesion, and the worst landmarks with their pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from wssamnet.evaluation.patches import PIXEL_MM, SIZE
from wssamnet.evaluation.results import Result
from wssamnet.evaluation.where import DISTANCE, common_errors
from wssamnet.report.content import read_table
from wssamnet.report.pictures import SIDES


@dataclass(frozen=True, eq=False)
class Panel:
    """One view of a landmark's surroundings.

    Args:
        title: what is shown.
        pixels: (S, S) uint8.
        point: where the landmark lies in this image, mm from the upper left corner; None where the middle is it.
        away: mm from the plane to `point`.
    """

    title: str
    pixels: NDArray[np.uint8]
    point: tuple[float, float] | None
    away: float


@dataclass(frozen=True)
class Worst:
    """One of the worst landmarks.

    Args:
        case, landmark: its names.
        number: of the case on the page.
        distance: mm from the lesion; NaN where not known.
        initial, error: mm, before registration and by the method that chose it.
        errors: one a method, mm; NaN where not known.
        plane: that is shown; "" without pictures.
        sides: what is left and up in it.
        panels: fixed scan, moving scan, and the moving scan as the method warped it, where there are pictures.
    """

    case: str
    landmark: int
    number: int
    distance: float
    initial: float
    error: float
    errors: tuple[float, ...]
    plane: str
    sides: tuple[str, str]
    panels: tuple[Panel, ...]


@dataclass(frozen=True)
class Where:
    """The section of the page.

    Args:
        size: mm, of a picture's side.
        bands: headings of the bands of distance; () where no lesion is known.
        rows: a row a method: its name and, for each band, n, mean and median (mm).
        known, landmarks: landmarks whose distance is known, and all.
        best: the method whose landmarks are shown; "" where there is none.
        mean, cases: its mean error, mm, over so many cases: those on which it was compared with the others.
        worst: the largest error first.
    """

    size: float
    bands: tuple[str, ...]
    rows: tuple[tuple[str, tuple[tuple[int, float, float], ...]], ...]
    known: int
    landmarks: int
    best: str
    mean: float
    cases: int
    worst: tuple[Worst, ...]


def _panels(path: Path, landmark: int, method: str) -> tuple[str, tuple[Panel, ...]]:
    """The plane and the pictures of one landmark; "" and () where the evaluation has none of it."""
    if not path.is_file():
        return "", ()
    with np.load(path, allow_pickle=False) as content:
        found = np.flatnonzero(content["ids"] == landmark)
        if not len(found):
            return "", ()
        row = found[0]
        panels = []
        shown = (("fixed", "fixed", None), ("moving", "moving, as it lies", "moving_at"))
        for name, title, place in (*shown, ("warped", f"moving, by {method}", "warped_at")):
            if name not in content:
                continue
            x, y, away = (round(float(value), 2) for value in content[place][row]) if place else (0.0, 0.0, 0.0)
            panels.append(Panel(title, content[name][row], (x, y) if place else None, away))
        return str(content["planes"][row]), tuple(panels)


def read_where(
    tables: Path,
    results: Sequence[Result],
    cases: pd.DataFrame,
    landmarks: pd.DataFrame,
    methods: Sequence[str],
    numbers: Mapping[str, int],
) -> Where:
    """Gather the section.

    Args:
        tables: folder made by `evaluation.write_tables`.
        results: the evaluations.
        cases, landmarks: tables per case and per landmark.
        methods: in the order to be shown.
        numbers: of the cases on the page, by name.

    Returns:
        the section; empty where there are no landmarks.

    Raises:
        WssamnetError: a table cannot be read.
    """
    bands: list[str] = []
    rows: dict[str, list[tuple[int, float, float]]] = {}
    if (tables / "error_by_distance.csv").is_file():
        for line in read_table(tables / "error_by_distance.csv").to_dict("records"):
            low, high = line["from_mm"], line["to_mm"]
            bands.append(f"above {low:g} mm" if pd.isna(high) else f"{low:g} to {high:g} mm")
            rows.setdefault(str(line["method"]), []).append((int(line["n"]), line["mean"], line["median"]))
    once = landmarks.drop_duplicates(["case", "landmark"])
    best, mean, worst = "", float("nan"), []
    common = common_errors(cases, methods)
    if (tables / "worst_landmarks.csv").is_file():
        table = read_table(tables / "worst_landmarks.csv")
        best = str(table["method"].iloc[0])
        mean = float(common[best].mean())
        folders = {result.case: result.folder for result in results if result.method == best}
        worst = [_worst(line, folders, methods, numbers) for line in table.to_dict("records")]
    return Where(
        size=SIZE * PIXEL_MM,
        bands=tuple(dict.fromkeys(bands)),
        rows=tuple((method, tuple(cells)) for method, cells in rows.items()),
        known=int(once[DISTANCE].notna().sum()) if DISTANCE in once else 0,
        landmarks=len(once),
        best=best,
        mean=mean,
        cases=len(common),
        worst=tuple(worst),
    )


def _worst(
    line: Mapping[Any, Any], folders: Mapping[str, Path], methods: Sequence[str], numbers: Mapping[str, int]
) -> Worst:
    best, case, landmark = str(line["method"]), str(line["case"]), int(line["landmark"])
    plane, panels = _panels(folders[case] / "patches.npz", landmark, best)
    return Worst(
        case,
        landmark,
        numbers[case],
        float(line[DISTANCE]),
        float(line["initial"]),
        float(line[f"error {best}"]),
        tuple(float(line[f"error {method}"]) for method in methods),
        plane,
        SIDES.get(plane, ("", "")),
        panels,
    )

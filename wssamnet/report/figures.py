"""Figures of the report, by matplotlib: inline in the page, and as files for a publication."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from wssamnet.files import written_atomically
from wssamnet.report.where import Worst

# On paper; in the page they give way to its own colours, which change with the theme. No method has them.
_INK, _LINE = "#1b1f24", "#d3d9de"
_COLOURS = {
    "before registration": "#8b949e",
    "identity": "#8b949e",
    "affine": "#b88a2d",
    "ants": "#d2691e",
    "voxelmorph": "#3b82c4",
    "wssamnet": "#16966d",
    "refinement": "#9a5bb5",
    "wssamnet_refined": "#c8436b",
}
_FURTHER = ("#6b7f2a", "#4b5fc1", "#7a5a45", "#2aa3a3", "#e0859f", "#8a9a5b", "#5f7f9f")
_RING, _BEAD = "#ffd23f", "#ff5d73"  # on grey pictures: the true place, and where the moving landmark lies
_MANY_POINTS = 3000  # above this a scatter is drawn as pixels: a page of vectors would be too heavy


@dataclass(frozen=True)
class Drawing:
    """A figure with the name of its file and a sentence about it."""

    name: str
    caption: str
    figure: Figure


def method_colours(methods: Sequence[str]) -> dict[str, str]:
    """One colour a method, legible on white and on near-black."""
    unknown = [method for method in methods if method not in _COLOURS]
    return {method: _COLOURS.get(method) or _FURTHER[unknown.index(method) % len(_FURTHER)] for method in methods}


@contextmanager
def _style() -> Iterator[None]:
    style: dict[Any, Any] = {
        "font.size": 8,
        "axes.titlesize": 8,
        "axes.labelsize": 8,
        "axes.edgecolor": _LINE,
        "axes.linewidth": 0.8,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.labelcolor": _INK,
        "axes.grid": True,
        "axes.axisbelow": True,
        "grid.color": _LINE,
        "grid.linewidth": 0.6,
        "text.color": _INK,
        "xtick.color": _LINE,
        "ytick.color": _LINE,
        "xtick.labelcolor": _INK,
        "ytick.labelcolor": _INK,
        "xtick.major.size": 0,
        "ytick.major.size": 0,
        "legend.frameon": False,
        "legend.fontsize": 7.5,
        "figure.facecolor": "none",
        "axes.facecolor": "none",
    }
    with mpl.rc_context(style):
        yield


def _axes(width: float, height: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.add_subplot()


def box_plot(cases: pd.DataFrame, methods: Sequence[str], figure: str, label: str) -> Figure:
    """Distribution over cases of one figure: a box a method, and every case as a dot.

    Args:
        cases: `evaluation.results.per_case`.
        methods: from top to bottom.
        figure: column of `cases`.
        label: of the axis.
    """
    colours = method_colours(methods)
    with _style():
        drawing, axes = _axes(3.6, max(2.7, 0.7 + 0.36 * len(methods)))
        for place, method in enumerate(methods):
            values = cases.loc[cases["method"] == method, figure].dropna().to_numpy()
            if not len(values):
                axes.text(0, place, " no case", va="center", fontsize=7)
                continue
            line = {"color": colours[method], "linewidth": 1.0}
            axes.boxplot(
                values,
                positions=[place],
                orientation="horizontal",
                widths=0.6,
                showfliers=False,
                boxprops=line,
                whiskerprops=line,
                capprops=line,
                medianprops={"color": colours[method], "linewidth": 2.2},
            )
            # an even spread by rank, so that cases of one value stay apart and the picture is the same every time
            spread = (np.argsort(np.argsort(values, kind="stable")) * 7 % 5 - 2) * 0.07
            axes.scatter(values, place + spread, s=9, color=colours[method], alpha=0.65, linewidths=0, zorder=3)
        axes.set_yticks(range(len(methods)), list(methods))
        axes.set_ylim(len(methods) - 0.5, -0.5)
        axes.set_xlim(0, max(axes.get_xlim()[1], 1e-3))  # rounding errors of zero are no scale
        axes.grid(visible=False, axis="y")
        axes.spines["left"].set_visible(False)
        axes.set_xlabel(label)
    return drawing


def cumulative_curve(landmarks: pd.DataFrame, methods: Sequence[str], error: str, label: str) -> Figure:
    """Share of all landmarks whose error is at most x.

    Args:
        landmarks: `evaluation.results.per_landmark`.
        methods: curves; "before registration" is added, dashed, unless identity is among them.
        error: "euclidean" or "l1".
        label: of the x axis.
    """
    with _style():
        drawing, axes = _axes(3.6, 2.7)
        curves = {method: landmarks.loc[landmarks["method"] == method, error].dropna() for method in methods}
        if "identity" not in curves:
            first = landmarks.drop_duplicates(["case", "landmark"])
            curves = {"before registration": first[f"initial_{error}"].dropna(), **curves}
        colours = method_colours(list(curves))
        pooled = np.concatenate([values.to_numpy() for values in curves.values()])
        end = float(np.quantile(pooled, 0.98)) if len(pooled) else 1.0
        for method, values in curves.items():
            x = np.sort(values.to_numpy())
            if len(x):
                share = np.arange(1, len(x) + 1) / len(x)
                kept = np.unique(np.linspace(0, len(x) - 1, 400).astype(int))
                x, share = np.r_[0, x[kept]], np.r_[0, share[kept]]
                still = method in ("identity", "before registration")
                axes.plot(
                    x, share, color=colours[method], linewidth=1.5, linestyle="--" if still else "-", label=method
                )
        axes.set_xlim(0, max(end, 1e-3))
        axes.set_ylim(0, 1)
        axes.set_xlabel(label)
        axes.set_ylabel("share of landmarks")
        axes.legend(loc="lower right")
    return drawing


def error_against_initial(landmarks: pd.DataFrame, method: str, error: str, limit: float, colour: str) -> Figure:
    """Each landmark's error after against before; below the diagonal it improved.

    Args:
        landmarks: `evaluation.results.per_landmark`.
        method: whose landmarks.
        error: "euclidean" or "l1".
        limit: end of both axes, mm; landmarks beyond it are drawn at the edge.
        colour: of the points.
    """
    own = landmarks[landmarks["method"] == method].dropna(subset=[error])
    with _style():
        drawing, axes = _axes(2.1, 2.1)
        axes.plot([0, limit], [0, limit], color=_INK, linewidth=0.7, alpha=0.5)
        x, y = (np.minimum(own[name].to_numpy(), limit) for name in (f"initial_{error}", error))
        axes.scatter(x, y, s=6, color=colour, alpha=0.55, linewidths=0, rasterized=len(own) > _MANY_POINTS)
        axes.set_xlim(0, limit * 1.02)
        axes.set_ylim(0, limit * 1.02)
        axes.set_aspect("equal")
        axes.set_title(method)
        axes.set_xlabel("before, mm")
        axes.set_ylabel("after, mm")
    return drawing


def landmark_pictures(worst: Sequence[Worst], size: float) -> Figure:
    """The surroundings of landmarks, two of them a row: fixed, moving as it lies, moving as the method warped it.

    Args:
        worst: with pictures.
        size: mm, of a picture's side.
    """
    rows, middle = -(-len(worst) // 2), (size / 2, size / 2)
    with _style():
        layout = ConstrainedLayoutEngine(h_pad=0.09, w_pad=0.02, wspace=0.0, hspace=0.0)
        drawing = Figure(figsize=(7.2, 1.45 * rows), layout=layout)
        FigureCanvasAgg(drawing)
        grid = drawing.add_gridspec(rows, 7, width_ratios=(1, 1, 1, 0.08, 1, 1, 1))
        for place, one in enumerate(worst):
            for column, panel in enumerate(one.panels):
                axes = drawing.add_subplot(grid[place // 2, place % 2 * 4 + column])
                axes.imshow(panel.pixels, cmap="gray", vmin=0, vmax=255, extent=(0, size, size, 0))
                axes.set_axis_off()
                if panel.point:
                    axes.plot(*zip(middle, panel.point, strict=True), color=_BEAD, linewidth=0.8)
                    axes.plot(*panel.point, ".", color=_BEAD, markersize=4)
                axes.plot(*middle, "o", color=_RING, markersize=5, markerfacecolor="none", markeredgewidth=0.9)
                axes.set_xlim(0, size)
                axes.set_ylim(size, 0)
                if not column:
                    title = f"{one.case}, landmark {one.landmark}, {one.plane}: {one.initial:.1f} → {one.error:.1f} mm"
                    axes.text(0, -2.5, title, fontsize=6.5, in_layout=False)  # it is wider than its picture
    return drawing


def training_curve(losses: pd.DataFrame, name: str) -> Figure:
    """The total loss at every step, faint, and its running mean; the terms' running means beneath.

    Args:
        losses: ``losses.csv``: step, total, and the weighted terms.
        name: title.
    """
    terms = [column for column in losses.columns if column not in ("step", "total")]
    with _style():
        drawing, axes = _axes(3.6, 2.6)
        steps = losses["step"].to_numpy(dtype=float)
        window = max(1, len(steps) // 20)
        kept = np.unique(np.linspace(0, len(steps) - 1, 400).astype(int)) if len(steps) else np.zeros(0, dtype=int)
        if "total" in losses:
            axes.plot(
                steps[kept], losses["total"].to_numpy()[kept], color=_COLOURS["identity"], linewidth=0.5, alpha=0.6
            )
        shown = (["total"] if "total" in losses else []) + (terms if len(terms) > 1 else [])
        for column, colour in zip(shown, ("#16966d", "#3b82c4", "#d2691e", *_FURTHER), strict=False):
            smooth = losses[column].rolling(window, min_periods=1).mean().to_numpy()
            width = 1.6 if column == "total" else 0.9
            axes.plot(steps[kept], smooth[kept], color=colour, linewidth=width, label=column.replace("_", " "))
        axes.set_title(name)
        axes.set_xlabel("step")
        if shown:
            drawing.legend(loc="outside lower center", ncols=3)
    return drawing


def to_svg(figure: Figure, name: str) -> str:
    """The figure as an ``<svg>`` element in the colours and the font of the page that it is put into.

    Args:
        figure: drawn in this module's style.
        name: unique in the page: keeps the ids of two figures apart.
    """
    buffer = io.StringIO()
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->", "", svg, flags=re.DOTALL)
    # matplotlib's style element holds for the whole page, and its ids are the same in each figure
    svg = re.sub(r"<style[^>]*>.*?</style>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\bid="([^"]+)"', rf'id="{name}-\1"', svg)
    svg = re.sub(r'(href="#|url\(#)', rf"\1{name}-", svg)
    svg = re.sub(r"font: ([\d.]+)px [^;\"]*", r"font-size: \1px", svg)
    svg = svg.replace(_INK, "currentColor").replace(_LINE, "var(--line)")
    return re.sub(r"\n\s*", "\n", svg).replace("<svg ", '<svg class="plot" ', 1)


def save_figures(drawings: Sequence[Drawing], folder: Path) -> None:
    """Write each figure as PDF and SVG on white, for a publication; the same figures give the same bytes."""
    for drawing in drawings:
        for kind in ("pdf", "svg"):
            date = {"CreationDate": None} if kind == "pdf" else {"Date": None}
            with (
                written_atomically(folder / f"{drawing.name}.{kind}") as temporary,
                mpl.rc_context({"svg.hashsalt": drawing.name, "pdf.fonttype": 42}),
            ):
                drawing.figure.savefig(temporary, format=kind, facecolor="white", metadata=date)

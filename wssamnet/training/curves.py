"""The losses of a training as a picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from wssamnet.files import written_atomically


def draw_losses(history: list[dict[str, float]], path: str | Path, title: str) -> None:
    """Draw every term against the step: faint as it was, and as a running mean over a twentieth of the steps.

    Args:
        history: one row a step, term → value.
        path: a PNG file.
        title: of the figure.
    """
    names = list(history[0]) if history else []
    columns = max(1, min(3, len(names)))
    rows = max(1, -(-len(names) // columns))
    figure = Figure(figsize=(4 * columns, 2.8 * rows), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title)
    steps = np.arange(1, len(history) + 1)
    width = max(1, len(history) // 20)
    for place, name in enumerate(names, start=1):
        values = np.array([row[name] for row in history])
        axes = figure.add_subplot(rows, columns, place)
        axes.plot(steps, values, color="#9db4c8", linewidth=0.6)
        sums = np.cumsum(np.insert(values, 0, 0.0))
        axes.plot(steps[width - 1 :], (sums[width:] - sums[:-width]) / width, color="#1f4e79", linewidth=1.4)
        axes.set_title(name.replace("_", " "), fontsize=9)
        axes.set_xlabel("step", fontsize=8)
        axes.tick_params(labelsize=7)
    with written_atomically(path) as temporary:
        figure.savefig(temporary, format="png", dpi=110)

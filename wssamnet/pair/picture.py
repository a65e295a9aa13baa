"""One look at a registration: three planes, the fixed scan, the moving one before and after, the deformation."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image

from wssamnet.evaluation.planes import cut_planes
from wssamnet.evaluation.regularity import Regularity, determinant_around, regularity
from wssamnet.fields import DisplacementField
from wssamnet.files import written_atomically
from wssamnet.images import Volume
from wssamnet.report.pictures import PLANES, SIDES, deformation_picture

_SIZE = 320  # pixels of the longest side of a panel
_TITLES = ("fixed", "moving, before", "moving, after", "deformation (red: larger in moving)")


def draw_planes(
    path: Path, fixed: Volume, moving: Volume, warped: Volume, brain: Volume, field: DisplacementField
) -> Regularity:
    """Write the picture as PNG.

    Args:
        path: the .png file.
        fixed, warped, brain: on the native fixed grid.
        moving: on its own grid; shown where its header puts it.
        field: the pull-back on the fixed grid.

    Returns:
        how regular the field is in the brain, found on the way.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    mask = brain.data > 0
    determinant = determinant_around(field, mask)
    content = cut_planes(fixed, moving, warped, brain, field, determinant, None)
    figure = Figure(figsize=(11, 8.6), dpi=100, facecolor="black", layout="constrained")
    axes = figure.subplots(len(PLANES), len(_TITLES))
    for row, name in enumerate(PLANES):
        place, inside = content[f"{name}_place"], content[f"{name}_brain"]
        extent = np.array(inside.shape[::-1]) * place[:2]
        wide, high = np.maximum(np.rint(extent * _SIZE / extent.max()).astype(int), 1)
        drawn = deformation_picture(
            content[f"{name}_log_jacobian"], inside, content[f"{name}_displacement"], place, (int(wide), int(high))
        )
        shown = [content[f"{name}_{kind}"] for kind in ("fixed", "moving", "warped")]
        for column, pixels in enumerate((*shown, drawn)):
            axis = axes[row, column]
            axis.imshow(pixels, cmap="gray", vmin=0, vmax=255, extent=(0, extent[0], extent[1], 0))
            axis.set_axis_off()
            if row == 0:
                axis.set_title(_TITLES[column], color="white", fontsize=10)
        left, up = SIDES[name]
        for letter, x, y in ((left, 0.03, 0.5), (up, 0.5, 0.95)):
            axes[row, 0].text(x, y, letter, color="white", fontsize=9, ha="center", va="center",
                              transform=axes[row, 0].transAxes)  # fmt: skip
    buffer = io.BytesIO()
    FigureCanvasAgg(figure)
    figure.savefig(buffer, format="png", facecolor="black")
    buffer.seek(0)
    with written_atomically(path) as temporary, Image.open(buffer) as picture:
        picture.convert("RGB").save(temporary, format="PNG", optimize=True)
    return regularity(determinant, mask)

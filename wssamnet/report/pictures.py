"""Pictures of a case, from its planes: small 8-bit images, as data URIs for the page."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import map_coordinates

PLANES = ("axial", "coronal", "sagittal")
SIDES = {"axial": ("R", "A"), "coronal": ("R", "S"), "sagittal": ("A", "S")}  # what is left, what is up
_STRIP = 450  # pixels of the three planes side by side: still pictures, for paper and where there is no viewer
_GAP_MM = 6.0  # between them
_GRID_MM = 9.0  # lines of the drawn grid are so far apart in the moving scan
_FULL_SCALE = float(np.log(2))  # |log det J| of the strongest colour: half and double the volume
_NEUTRAL, _LESS, _MORE = (np.array(rgb, dtype=np.float64) for rgb in ((238, 238, 236), (33, 102, 172), (178, 60, 43)))
_FOLD, _PEN = (np.array(rgb, dtype=np.float64) for rgb in ((255, 0, 200), (40, 46, 52)))


@dataclass(frozen=True)
class Mark:
    """A landmark on a picture: mm from its upper left corner, and errors in mm (in space, Euclidean)."""

    number: int
    fixed: tuple[float, float]
    moving: tuple[float, float]
    warped: tuple[float, float] | None
    before: float
    after: float | None


@dataclass(frozen=True)
class Side:
    """A letter at the edge of a plane: what lies there. Position in the strip, mm."""

    letter: str
    x: float
    y: float


@dataclass(frozen=True)
class Strip:
    """The three planes of one case for one method, side by side.

    Args:
        width, height: mm.
        fixed, moving, warped, deformation: data URIs.
        marks: landmarks near the planes.
        sides: what is left and up on each plane.
        places: "axial 12.3" and so on: where the planes lie, LPS mm along their normals.
    """

    width: float
    height: float
    fixed: str
    moving: str
    warped: str
    deformation: str
    marks: tuple[Mark, ...]
    sides: tuple[Side, ...]
    places: tuple[str, ...]


def picture_uri(pixels: NDArray[np.uint8], quality: int) -> str:
    """8-bit pixels, (H, W) or (H, W, 3), as a data URI (WebP)."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="WEBP", quality=quality, method=4)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def _resized(pixels: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS))


def deformation_picture(
    log_jacobian: NDArray[Any],
    brain: NDArray[np.bool_],
    displacement: NDArray[Any],
    place: NDArray[np.float64],
    size: tuple[int, int],
) -> NDArray[np.uint8]:
    """The moving scan's straight grid as it comes to lie in the fixed scan, over the colours of log det J.

    Args:
        log_jacobian: (H, W), NaN where space folds.
        brain: (H, W).
        displacement: (h, w, 2) mm, every ``place[2]``-th pixel; see `evaluation.planes`.
        place: mm a pixel along x and y, and the step.
        size: (width, height) of the picture in pixels.

    Returns:
        (height, width, 3) RGB; black outside the brain.
    """
    spacing, step = place[:2], float(place[2])
    width, height = size
    pixel = np.array(brain.shape[::-1]) * spacing / np.array(size)  # mm a pixel of the picture
    x = (np.arange(width) + 0.5) * pixel[0]
    y = (np.arange(height) + 0.5) * pixel[1]
    column, row = np.meshgrid(x / spacing[0] - 0.5, y / spacing[1] - 0.5)
    folded = np.isnan(log_jacobian)
    smooth = np.nan_to_num(np.asarray(log_jacobian, dtype=np.float32))
    log_j = map_coordinates(smooth, [row, column], order=1, mode="nearest")
    inside = map_coordinates(brain.astype(np.float32), [row, column], order=1, mode="nearest") > 0.5
    fold = map_coordinates(folded.astype(np.float32), [row, column], order=0, mode="nearest") > 0.5

    strength = np.clip(np.abs(log_j) / _FULL_SCALE, 0, 1)[..., None]
    colour = np.where((log_j < 0)[..., None], _LESS, _MORE)
    rgb = _NEUTRAL * (1 - strength) + colour * strength
    rgb[fold] = _FOLD
    ink = np.zeros((height, width))
    for axis, along in enumerate((x[None, :], y[:, None])):
        u = np.asarray(displacement[..., axis], dtype=np.float32)
        mapped = along + map_coordinates(u, [row / step, column / step], order=1, mode="nearest")
        slope = np.hypot(*np.gradient(mapped))  # mm of the moving scan a pixel
        away = np.abs((mapped / _GRID_MM + 0.5) % 1 - 0.5) * _GRID_MM / np.maximum(slope, 1e-3)
        ink = np.maximum(ink, np.clip(1.1 - away, 0, 1))
    rgb += (_PEN - rgb) * (0.75 * ink)[..., None]
    rgb[~inside] = 0
    return np.asarray(rgb + 0.5, dtype=np.uint8)


def _point(x: float, y: float) -> tuple[float, float]:
    return round(float(x), 1), round(float(y), 1)


def _marks(table: NDArray[np.float32], left: float, top: float) -> list[Mark]:
    """The landmarks of a plane that begins so far from the strip's upper left corner."""
    marks = []
    for row in table + np.array([0, left, top, left, top, left, top, 0, 0]):
        known = bool(np.isfinite(row[5:7]).all())
        marks.append(
            Mark(
                int(row[0]),
                _point(row[1], row[2]),
                _point(row[3], row[4]),
                _point(row[5], row[6]) if known else None,
                float(row[7]),
                float(row[8]) if known else None,
            )
        )
    return marks


def read_strip(path: Path) -> Strip | None:
    """The planes of an evaluation as pictures; None if it has none (its field could not be read)."""
    if not path.is_file():
        return None
    with np.load(path, allow_pickle=False) as content:
        place = {name: content[f"{name}_place"] for name in PLANES}
        extent = {name: np.array(content[f"{name}_brain"].shape[::-1]) * place[name][:2] for name in PLANES}
        width = float(sum(extent[name][0] for name in PLANES)) + _GAP_MM * (len(PLANES) - 1)
        height = float(max(extent[name][1] for name in PLANES))
        per_mm = _STRIP / width
        canvas = (max(1, round(height * per_mm)), _STRIP)
        grey = {kind: np.zeros(canvas, dtype=np.uint8) for kind in ("fixed", "moving", "warped")}
        colour = np.zeros((*canvas, 3), dtype=np.uint8)
        marks: list[Mark] = []
        sides: list[Side] = []
        left = 0.0
        for name in PLANES:
            wide, high = (float(value) for value in extent[name])
            top = (height - high) / 2
            row, column = round(top * per_mm), round(left * per_mm)
            size = (
                max(1, min(round(wide * per_mm), canvas[1] - column)),
                max(1, min(round(high * per_mm), canvas[0] - row)),
            )
            area = np.s_[row : row + size[1], column : column + size[0]]
            for kind, image in grey.items():
                image[area] = _resized(content[f"{name}_{kind}"], size)
            change, brain, field = (content[f"{name}_{part}"] for part in ("log_jacobian", "brain", "displacement"))
            colour[area] = deformation_picture(change, brain, field, place[name], size)
            marks += _marks(content[f"{name}_landmarks"], left, top)
            beside, above = SIDES[name]
            sides += [
                Side(beside, round(left + 3, 1), round(height / 2 + 4, 1)),
                Side(above, round(left + wide / 2, 1), round(top + 12, 1)),
            ]
            left += wide + _GAP_MM
    return Strip(
        width=round(width, 1),
        height=round(height, 1),
        **{kind: picture_uri(image, 45) for kind, image in grey.items()},
        deformation=picture_uri(colour, 22),
        marks=tuple(marks),
        sides=tuple(sides),
        places=tuple(f"{name} {place[name][4]:.1f}".replace("-", "−") for name in PLANES),
    )

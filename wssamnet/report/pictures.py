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
_LONGEST = 224  # pixels along the longer side of a picture
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
class Plane:
    """One plane of one case for one method.

    Args:
        name: "axial", "coronal" or "sagittal".
        width, height: mm.
        fixed, moving, warped, deformation: data URIs.
        marks: landmarks near the plane.
        coordinate: where the plane lies, LPS mm along its normal.
    """

    name: str
    width: float
    height: float
    fixed: str
    moving: str
    warped: str
    deformation: str
    marks: tuple[Mark, ...]
    coordinate: float

    @property
    def aspect(self) -> float:
        """Width over height."""
        return self.width / self.height


def _uri(image: Image.Image, quality: int) -> str:
    buffer = io.BytesIO()
    image.save(buffer, format="WEBP", quality=quality, method=4)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def _grey(pixels: NDArray[np.uint8], size: tuple[int, int]) -> str:
    image = Image.fromarray(pixels)
    # only ever made smaller: the browser enlarges as well as we could, for fewer bytes
    if image.width > size[0] or image.height > size[1]:
        image = image.resize(size, Image.Resampling.LANCZOS)
    return _uri(image, 72)


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


def _marks(table: NDArray[np.float32]) -> tuple[Mark, ...]:
    marks = []
    for row in table:
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
    return tuple(marks)


def read_pictures(path: Path) -> list[Plane] | None:
    """The planes of an evaluation as pictures; None if it has none (its field could not be read)."""
    if not path.is_file():
        return None
    planes = []
    with np.load(path, allow_pickle=False) as content:
        for name in PLANES:
            place = content[f"{name}_place"]
            brain = content[f"{name}_brain"]
            extent = np.array(brain.shape[::-1]) * place[:2]
            wide, high = np.maximum(np.rint(extent * _LONGEST / extent.max()).astype(int), 1)
            size = (int(wide), int(high))
            drawn = deformation_picture(
                content[f"{name}_log_jacobian"], brain, content[f"{name}_displacement"], place, size
            )
            planes.append(
                Plane(
                    name=name,
                    width=round(float(extent[0]), 2),
                    height=round(float(extent[1]), 2),
                    fixed=_grey(content[f"{name}_fixed"], size),
                    moving=_grey(content[f"{name}_moving"], size),
                    warped=_grey(content[f"{name}_warped"], size),
                    deformation=_uri(Image.fromarray(drawn), 60),
                    marks=_marks(content[f"{name}_landmarks"]),
                    coordinate=float(place[4]),
                )
            )
    return planes

"""What the viewer of a case is given: small volumes of every method, packed for the page.

Images are sprites of axial slices (WebP, their quality lowered until the case keeps to its size);
log det J and the displacement are exact: deflated, the displacement as differences along x, then y.
`volumes.js` unpacks.
"""

from __future__ import annotations

import base64
import io
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter

from wssamnet.evaluation.volumes import FOLDED, NO_CHANGE, PER_DOUBLING

CASE_BYTES = 350_000  # of the page, for a case's viewer with all its methods
# WebP's quality, and the smoothing (pixels) that keeps scans of much noise to the size
_QUALITIES = (
    (72, 0.0),
    (60, 0.0),
    (48, 0.0),
    (38, 0.0),
    (30, 0.0),
    (23, 0.0),
    (23, 0.7),
    (20, 1.0),
    (12, 1.6),
    (8, 2.4),
)
_AXES = ("x", "y", "z")


def _text(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")


def sprite(volume: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The axial slices of a volume side by side, in rows.

    Args:
        volume: (Z, Y, X).

    Returns:
        (rows Y, columns X), `columns` as `sprite_columns` says.
    """
    depth, height, width = volume.shape
    columns = sprite_columns(volume.shape)
    rows = -(-depth // columns)
    padded = np.zeros((rows * columns, height, width), dtype=np.uint8)
    padded[:depth] = volume
    return padded.reshape(rows, columns, height, width).swapaxes(1, 2).reshape(rows * height, columns * width)


def sprite_columns(shape: Sequence[int]) -> int:
    """Slices in a row of a sprite, so that it is about as high as wide; shape is (Z, Y, X)."""
    depth, height, width = shape
    return max(1, min(depth, round(float(np.sqrt(depth * height / width)))))


def packed(codes: NDArray[Any]) -> dict[str, Any]:
    """Bytes in three dimensions, (Z, Y, X), as the page has them: shape (X, Y, Z) and base64."""
    return {"shape": list(codes.shape[::-1]), "data": _text(zlib.compress(codes.tobytes(), 9))}


def differences(values: NDArray[np.int8]) -> NDArray[np.uint8]:
    """What (..., Y, X) values differ by from their neighbours along x, and that along y, modulo 256."""
    along = np.diff(values.astype(np.int16), axis=-1, prepend=0)
    return np.asarray(np.diff(along, axis=-2, prepend=0) & 255, dtype=np.uint8)


def _webp(images: Sequence[NDArray[np.uint8]], most: float) -> list[str]:
    """The sprites of all images in one quality, the best that needs at most so many characters."""
    for quality, sigma in _QUALITIES:
        last = (quality, sigma) == _QUALITIES[-1]
        found: list[str] = []
        for image in images:
            buffer = io.BytesIO()
            shown = gaussian_filter(image, sigma) if sigma else image
            Image.fromarray(shown).save(buffer, format="WEBP", quality=quality, method=4)
            found.append(_text(buffer.getvalue()))
            # the images of a case are much alike: one that is too large for its share ends the attempt
            if len(found[-1]) > 1.15 * most / len(images) and not last:
                break
        else:
            if last or sum(map(len, found)) <= most:
                return found
    raise AssertionError("the last quality is always taken")


def _points(table: pd.DataFrame, name: str, to_display: NDArray[np.float64]) -> list[list[float] | None]:
    """Landmarks in display mm; None where there is none."""
    lps = table[[f"{name}_{axis}" for axis in _AXES]].to_numpy(dtype=float)
    display = lps @ to_display[:3, :3].T + to_display[:3, 3]
    return [[round(float(value), 1) for value in row] if np.isfinite(row).all() else None for row in display]


def _errors(values: pd.Series) -> list[float | None]:
    return [None if pd.isna(value) else round(float(value), 2) for value in values]


def case_volumes(folders: Mapping[str, Path], error: str, most: int = CASE_BYTES) -> dict[str, Any] | None:
    """One case for the viewer, ready for JSON.

    Args:
        folders: its evaluations, by method, in the order to be shown.
        error: "euclidean" or "l1", the kind of the landmarks' errors.
        most: bytes that the images are fitted to.

    Returns:
        the volumes; None where no method has any.
    """
    present = {method: folder for method, folder in folders.items() if (folder / "volumes.npz").is_file()}
    if not present:
        return None
    out: dict[str, Any] = {}
    methods: list[dict[str, Any]] = []
    images: list[NDArray[np.uint8]] = []
    for method, folder in present.items():
        with np.load(folder / "volumes.npz", allow_pickle=False) as content:
            spacing, to_display = np.round(content["spacing"], 4).tolist(), content["to_display"]
            if not out:
                shape = content["fixed"].shape
                out = {
                    "shape": list(shape[::-1]),
                    "spacing": spacing[0],
                    "columns": sprite_columns(shape),
                    "to_lps": np.round(np.linalg.inv(to_display)[:3], 5).tolist(),
                    "codes": {"folded": FOLDED, "no_change": NO_CHANGE, "per_doubling": PER_DOUBLING},
                    "landmarks": {},
                }
                images += [sprite(content["fixed"]), sprite(content["moving"])]
            # the viewer has "before registration" of its own, which is what identity shows
            entry: dict[str, Any] = {"name": method, "warped": [], "after": []}
            if method != "identity":
                images.append(sprite(content["warped"]))
                entry["jacobian"] = packed(content["log_jacobian"]) | {"spacing": spacing[1]}
                parts = differences(content["displacement"])
                # the three components one after another
                entry["displacement"] = packed(parts.reshape(-1, *parts.shape[2:])) | {
                    "shape": list(parts.shape[:0:-1]),
                    "spacing": spacing[2],
                    "scale": round(float(content["scale"]), 6),
                }
        if (folder / "landmarks.csv").is_file():
            table = pd.read_csv(folder / "landmarks.csv")
            out["landmarks"] = {
                "ids": [int(number) for number in table["landmark"]],
                "fixed": _points(table, "fixed", to_display),
                "moving": _points(table, "moving", to_display),
                "before": _errors(table[f"initial_{error}"]),
            }
            entry |= {"warped": _points(table, "warped", to_display), "after": _errors(table[error])}
        if method != "identity":
            methods.append(entry)
    exact = sum(len(entry[part]["data"]) for entry in methods for part in ("jacobian", "displacement"))
    texts = _webp(images, most - exact)
    out |= {"fixed": texts[0], "moving": texts[1], "methods": methods}
    for entry, text in zip(methods, texts[2:], strict=True):
        entry["image"] = text
    return out

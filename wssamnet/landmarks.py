"""Landmark files of the challenge: ``Landmark,X,Y,Z``.

In LPS millimetres, as the challenge has them, unless another frame is said: it is never guessed. What this package
writes is in LPS millimetres.
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from wssamnet.errors import LandmarkError
from wssamnet.files import lacking, written_atomically
from wssamnet.geometry import Array, Frame, Grid

Coordinates = Literal["lps", "ras", "voxel"]
COORDINATES: tuple[Coordinates, ...] = get_args(Coordinates)
_FRAMES = {"lps": Frame.LPS, "ras": Frame.RAS, "voxel": Frame.IJK}
_LONGEST = 1 << 26  # bytes; a cohort's largest file has a few thousand
_HEADER = ("Landmark", "X", "Y", "Z")


@dataclass(frozen=True, eq=False)
class Landmarks:
    """Numbered points of one scan.

    Args:
        ids: the number of each landmark; those of a pair correspond.
        points: (N, 3), LPS mm.
    """

    ids: tuple[int, ...]
    points: Array

    def __len__(self) -> int:
        return len(self.ids)

    def select(self, ids: tuple[int, ...]) -> Landmarks:
        """The landmarks with these ids, in this order.

        Raises:
            LandmarkError: there is none with one of them.
        """
        row = {number: index for index, number in enumerate(self.ids)}
        if lost := [number for number in ids if number not in row]:
            raise LandmarkError(f"there is no landmark {', '.join(map(str, lost[:6]))}{', …' if lost[6:] else ''}")
        return Landmarks(ids, self.points[[row[number] for number in ids]].reshape(-1, 3))


def to_lps(landmarks: Landmarks, coordinates: Coordinates, grid: Grid) -> Landmarks:
    """Landmarks as a file gives them, in LPS mm.

    Args:
        landmarks: points in the file's own frame.
        coordinates: that frame: "lps" or "ras" millimetres, or "voxel": indices of `grid` from 0, along the axes of
            the file, whole numbers at voxel centres.
        grid: of the scan.
    """
    return Landmarks(landmarks.ids, grid.convert(landmarks.points, _FRAMES[coordinates], Frame.LPS))


def _text(path: Path) -> str:
    if fault := lacking(path):
        raise LandmarkError(fault, path, "a readable CSV file")
    try:
        if path.stat().st_size > _LONGEST:
            raise LandmarkError(f"holds {path.stat().st_size >> 20} MiB", path, "a CSV file of landmarks")
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise LandmarkError(error.strerror or "cannot be read", path, "a readable CSV file") from None
    except UnicodeDecodeError:
        raise LandmarkError("is not a text file", path, "a CSV file in UTF-8") from None


def read_landmarks(path: str | Path) -> Landmarks:
    """Read a landmark CSV (tabs in a .tsv file); spaces around names and values, a BOM and CRLF are accepted.

    Returns:
        the landmarks in file order, points as they are: LPS mm, unless the file is known to hold another frame and
        `to_lps` follows.

    Raises:
        LandmarkError: the file is missing, has no ``Landmark,X,Y,Z`` header or no rows, a value
            is not a number, or an id occurs twice.
    """
    path = Path(path)
    tabs = path.suffix.lower() == ".tsv"
    reader = csv.reader(io.StringIO(_text(path)), delimiter="\t" if tabs else ",")
    try:
        cells = [(reader.line_num, [cell.strip() for cell in row]) for row in reader]
    except csv.Error as error:
        raise LandmarkError(f"is not a CSV file: {error}", path, "Landmark,X,Y,Z and one row a landmark") from None
    rows = [(line, row) for line, row in cells if any(row)]
    header = rows[0][1] if rows else []
    if tuple(cell.lower() for cell in header) != tuple(name.lower() for name in _HEADER):
        found = f"the header is {','.join(header)[:60]!r}" if rows else "is empty"
        separated = "Landmark, X, Y, Z with tabs" if tabs else "Landmark,X,Y,Z with commas"
        raise LandmarkError(found, path, f"the first line must be {separated}")
    ids: dict[int, None] = {}
    points: list[list[float]] = []
    for line, row in rows[1:]:
        if len(row) != 4:
            remedy = "4: id, X, Y, Z; decimal points, not commas" if len(row) == 7 else "4: id, X, Y, Z in LPS mm"
            raise LandmarkError(f"line {line} has {len(row)} values", path, remedy)
        try:
            if "_" in "".join(row):  # Python's own way to group digits
                raise ValueError
            point = [float(value) for value in row[1:]]
            ident = int(row[0])
        except ValueError:
            raise LandmarkError(
                f"line {line} is {','.join(row)[:60]!r}", path, "a whole id and three numbers"
            ) from None
        if not np.isfinite(point).all():
            raise LandmarkError(f"line {line} holds a value that is not finite", path, "three finite numbers, LPS mm")
        if ident in ids:
            raise LandmarkError(f"landmark {ident} occurs twice", path, "every id once")
        ids[ident] = None
        points.append(point)
    if not ids:
        raise LandmarkError("holds no landmark", path, "at least one row below the header")
    return Landmarks(tuple(ids), np.array(points, dtype=np.float64))


def write_landmarks(path: str | Path, landmarks: Landmarks) -> None:
    """Write a landmark CSV (LPS mm, four decimals), whole or not at all."""
    lines = [",".join(_HEADER)]
    for ident, point in zip(landmarks.ids, landmarks.points, strict=True):
        lines.append(f"{ident}," + ",".join(f"{value:.4f}" for value in point))
    with written_atomically(path) as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")

"""The prepared case: what preprocessing leaves on disk and every registration method starts from.

A folder ``<case id>/`` holds

    prepared.json            geometry, normalisation, sources
    fixed.npy, moving.npy    (C, X, Y, Z) float16, working grid, intensities in [0, 1], background 0;
                             `moving` is already pre-aligned, by one interpolation
    fixed_mask.npy, moving_mask.npy   (X, Y, Z) bool, brain, same grid
    fixed_roi.npy, moving_roi.npy     (X, Y, Z) bool, cubes around the landmarks (where known)
    landmarks.npy            (N, 2, 3) float64, fixed landmarks and their pre-aligned partners, LPS mm of the fixed
                             scan (where both are known)
    fixed.nii.gz, moving.nii.gz       the first modality as it came, native grid
    fixed_brain.nii.gz                brain mask of the fixed scan, native grid
    moving_landmarks.csv              follow-up landmarks, LPS mm, native (where known)

The ROIs and `landmarks` are for trainings alone: where a method registers, the case is opened without them (`TRUTH`),
so that none sees what it is judged by.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wssamnet.errors import CohortError, GeometryError, ImageError
from wssamnet.fields import AffineMap
from wssamnet.files import FOLDER_NAME, names_a_folder
from wssamnet.geometry import Grid
from wssamnet.images import Volume, read_grid, read_image
from wssamnet.landmarks import Landmarks, read_landmarks

TRUTH = ("fixed_roi", "moving_roi", "landmarks")  # arrays that tell where landmarks are


@dataclass(frozen=True, eq=False)
class PreparedCase:
    """One prepared case, arrays memory-mapped from its folder on first use.

    Args:
        folder: where it lies.
        record: content of ``prepared.json``.
        hidden: arrays that are not given out.
    """

    folder: Path
    record: dict[str, Any]
    hidden: tuple[str, ...] = field(default=(), kw_only=True)

    @property
    def id(self) -> str:
        """The case's name."""
        return str(self.record["id"])

    @property
    def grid(self) -> Grid:
        """The working grid: fixed space, axes closest to RAS, cropped to the joint brain box."""
        return Grid(**self.record["grid"])

    @property
    def prealignment(self) -> AffineMap:
        """Pull-back, LPS mm: fixed points to moving points; the identity if that was better."""
        return AffineMap(np.array(self.record["prealignment"]))

    def array(self, name: str) -> NDArray[Any]:
        """One of the ``.npy`` arrays, memory-mapped, read-only.

        Raises:
            ImageError: the file is missing or damaged, or holds Python objects; or the array is hidden.
        """
        path = self.folder / f"{name}.npy"
        if name in self.hidden:
            raise ImageError("is for trainings alone", path, "a registration may not see what it is judged by")
        try:
            return np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))
        except (OSError, EOFError, ValueError) as error:
            said = (str(error) or "it is empty").splitlines()[0]
            raise ImageError(f"is no array that can be read: {said}", path, "prepare the case again") from None

    def has(self, name: str) -> bool:
        """Whether the array is there (ROIs and landmarks need those of the scans)."""
        return name not in self.hidden and (self.folder / f"{name}.npy").is_file()

    def image(self, side: str) -> Volume:
        """The native first modality; `side` is "fixed" or "moving"."""
        return read_image(self.folder / f"{side}.nii.gz")

    def native_grid(self, side: str) -> Grid:
        """The grid of `image(side)`, header only."""
        return read_grid(self.folder / f"{side}.nii.gz")

    def moving_landmarks(self) -> Landmarks | None:
        """Follow-up landmarks, LPS mm of the moving scan."""
        path = self.folder / "moving_landmarks.csv"
        return read_landmarks(path) if path.is_file() else None


def load_prepared(folder: str | Path, *, hidden: tuple[str, ...] = ()) -> PreparedCase:
    """Open a prepared case.

    Args:
        folder: where it lies.
        hidden: arrays that it shall not give out, such as `TRUTH`.

    Raises:
        CohortError: the folder holds no prepared case, a damaged one, or one whose id leads out of its folder.
    """
    folder = Path(folder)
    path = folder / "prepared.json"
    if not path.is_file():
        raise CohortError([f"{folder}: is not a prepared case (made by `wssamnet preprocess`)"])
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(record, dict):
            raise ValueError("no object")
        case = PreparedCase(folder, record, hidden=hidden)
        _ = case.id, case.grid, case.prealignment
    except (OSError, ValueError, KeyError, TypeError, GeometryError) as error:
        said = f"{error} is missing" if isinstance(error, KeyError) else str(error).splitlines()[0]
        raise CohortError([f"{path}: does not describe a prepared case: {said} (prepare the case again)"]) from None
    if not names_a_folder(case.id):
        raise CohortError([f"{path}: the id '{case.id[:120]}' cannot name a folder everywhere ({FOLDER_NAME})"])
    return case

"""A case: the files of a patient's fixed (pre-operative) and moving (follow-up) scan."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wssamnet.errors import CohortError
from wssamnet.files import FOLDER_NAME, names_a_folder
from wssamnet.geometry import Grid
from wssamnet.landmarks import COORDINATES, Coordinates, Landmarks, read_landmarks, to_lps


def _whole(path: Path) -> Path:
    """The absolute path: of a link its target's, unless that lacks the ending by which a file is read."""
    target = path.resolve()
    return target if target.suffix == path.suffix else path.absolute()


@dataclass(frozen=True)
class Scan:
    """Files of one time point.

    Args:
        images: modality ("t1ce", …) to NIfTI file; all on one grid.
        landmarks: CSV, where known.
        mask: brain mask on the images' grid, where given.
        coordinates: what the landmark file holds; see `landmarks.to_lps`.
    """

    images: dict[str, Path]
    landmarks: Path | None = None
    mask: Path | None = None
    coordinates: Coordinates = "lps"

    def read_landmarks(self, grid: Grid) -> Landmarks | None:
        """The landmarks in LPS mm, None where there is no file.

        Args:
            grid: the native grid of the scan's images, which voxel coordinates count on.

        Raises:
            LandmarkError: the file cannot be read.
        """
        return to_lps(read_landmarks(self.landmarks), self.coordinates, grid) if self.landmarks else None

    def files(self) -> list[Path]:
        """Every file of the scan."""
        return [*self.images.values(), *(path for path in (self.landmarks, self.mask) if path is not None)]

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready description with absolute paths."""
        return {
            "images": {name: str(_whole(path)) for name, path in sorted(self.images.items())},
            "landmarks": str(_whole(self.landmarks)) if self.landmarks else None,
            "landmark_coordinates": self.coordinates,
            "mask": str(_whole(self.mask)) if self.mask else None,
        }

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> Scan:
        """Build it from `to_dict`'s description."""
        landmarks, mask = content.get("landmarks"), content.get("mask")
        coordinates = content.get("landmark_coordinates", "lps")
        if coordinates not in COORDINATES:
            raise ValueError(f"landmark_coordinates: {coordinates}")
        return cls(
            {str(name): Path(path) for name, path in content["images"].items()},
            Path(landmarks) if landmarks else None,
            Path(mask) if mask else None,
            coordinates,
        )


@dataclass(frozen=True)
class Case:
    """One pair.

    Args:
        id: unique in its cohort, and a folder name.
        fixed: the scan whose space is kept (baseline).
        moving: the scan that is brought there (follow-up).
        lesion: mask of the tumour on the fixed scan's grid, where known. Evaluation alone reads it, to say how
            far from the tumour a landmark lies; no method is told.
        patient: whose scans these are, where a patient has several cases; the case's id where it is not said.
    """

    id: str
    fixed: Scan
    moving: Scan
    lesion: Path | None = None
    patient: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "patient", self.patient or self.id)

    def scans(self) -> tuple[tuple[str, Scan], tuple[str, Scan]]:
        """("fixed", its scan), ("moving", its scan)."""
        return ("fixed", self.fixed), ("moving", self.moving)

    @property
    def trainable(self) -> bool:
        """Whether both scans have landmarks, which the weak supervision needs."""
        return self.fixed.landmarks is not None and self.moving.landmarks is not None

    @property
    def has_reference(self) -> bool:
        """Whether it can be evaluated: errors need the landmarks of both scans."""
        return self.trainable

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready description with absolute paths."""
        lesion = str(_whole(self.lesion)) if self.lesion else None
        patient = {"patient": self.patient} if self.patient != self.id else {}
        scans = {side: scan.to_dict() for side, scan in self.scans()}
        return {"id": self.id, **scans, "lesion": lesion, **patient}

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> Case:
        """Build it from `to_dict`'s description."""
        lesion = content.get("lesion")
        fixed, moving = (Scan.from_dict(content[side]) for side in ("fixed", "moving"))
        patient = str(content.get("patient", ""))
        return cls(str(content["id"]), fixed, moving, Path(lesion) if lesion else None, patient)


def read_case(path: str | Path) -> Case:
    """Read a case written by `write_manifest`.

    Raises:
        CohortError: the file is missing, does not describe a case, or gives it an id that leads out of its folder.
    """
    path = Path(path)
    try:
        if path.exists() and not path.is_file():
            raise ValueError("a folder or a pipe")
        case = Case.from_dict(json.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        said = error.strerror or "cannot be read"
        raise CohortError([f"{path}: {said} (a case made by `wssamnet check`)"]) from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise CohortError([f"{path}: does not describe a case (made by `wssamnet check`)"]) from None
    if not names_a_folder(case.id):
        raise CohortError([f"{path}: the id '{case.id[:120]}' cannot name a folder everywhere ({FOLDER_NAME})"])
    return case

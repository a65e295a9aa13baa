"""A case: the files of one patient's fixed (pre-operative) and moving (follow-up) scan."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wssamnet.errors import CohortError


@dataclass(frozen=True)
class Scan:
    """Files of one time point.

    Args:
        images: modality ("t1ce", …) to NIfTI file; all on one grid.
        landmarks: CSV in LPS mm, where known.
        mask: brain mask on the images' grid, where given.
    """

    images: dict[str, Path]
    landmarks: Path | None = None
    mask: Path | None = None

    def files(self) -> list[Path]:
        """Every file of the scan."""
        return [*self.images.values(), *(path for path in (self.landmarks, self.mask) if path is not None)]

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready description with absolute paths."""
        return {
            "images": {name: str(path.resolve()) for name, path in sorted(self.images.items())},
            "landmarks": str(self.landmarks.resolve()) if self.landmarks else None,
            "mask": str(self.mask.resolve()) if self.mask else None,
        }

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> Scan:
        """Build it from `to_dict`'s description."""
        landmarks, mask = content.get("landmarks"), content.get("mask")
        return cls(
            {str(name): Path(path) for name, path in content["images"].items()},
            Path(landmarks) if landmarks else None,
            Path(mask) if mask else None,
        )


@dataclass(frozen=True)
class Case:
    """One pair.

    Args:
        id: unique in its cohort, and a folder name.
        fixed: the scan whose space is kept (baseline).
        moving: the scan that is brought there (follow-up).
    """

    id: str
    fixed: Scan
    moving: Scan

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
        return {"id": self.id, "fixed": self.fixed.to_dict(), "moving": self.moving.to_dict()}

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> Case:
        """Build it from `to_dict`'s description."""
        return cls(str(content["id"]), Scan.from_dict(content["fixed"]), Scan.from_dict(content["moving"]))


def read_case(path: str | Path) -> Case:
    """Read a case written by `write_manifest`.

    Raises:
        CohortError: the file is missing, or does not describe a case.
    """
    path = Path(path)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return Case.from_dict(content)
    except OSError as error:
        raise CohortError([f"{path}: {error.strerror or 'cannot be read'}"]) from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise CohortError([f"{path}: does not describe a case (made by `wssamnet check`)"]) from None

"""The files of one pair as a case, judged before any work as a cohort's are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from wssamnet.cohort import Case, Scan, check_cohort
from wssamnet.cohort.lesions import read_lesion
from wssamnet.errors import CohortError, ImageError, SettingsError, WssamnetError
from wssamnet.files import lacking
from wssamnet.images import Volume
from wssamnet.landmarks import Coordinates

NAME = "pair"


@dataclass(frozen=True)
class PairFiles:
    """What is to be registered.

    Args:
        fixed, moving: NIfTI files, the same modalities in the same order; those of one side share a grid.
        landmarks: CSV of the moving scan.
        fixed_mask, moving_mask: brain, on the grid of that side.
        fixed_lesion, moving_lesion: voxels that must not count, on the grid of that side.
        coordinates: what the landmark file holds; see `landmarks.to_lps`.
    """

    fixed: tuple[Path, ...]
    moving: tuple[Path, ...]
    landmarks: Path | None = None
    fixed_mask: Path | None = None
    moving_mask: Path | None = None
    fixed_lesion: Path | None = None
    moving_lesion: Path | None = None
    coordinates: Coordinates = "lps"

    @property
    def modalities(self) -> tuple[str, ...]:
        """Names for the channels; what they show is not asked."""
        return tuple(f"image_{number}" for number in range(1, len(self.fixed) + 1))

    def all(self) -> dict[str, Path]:
        """Every file by its role."""
        found = {f"fixed_{number}": path for number, path in enumerate(self.fixed, start=1)}
        found |= {f"moving_{number}": path for number, path in enumerate(self.moving, start=1)}
        single = ("landmarks", "fixed_mask", "moving_mask", "fixed_lesion", "moving_lesion")
        return found | {name: getattr(self, name) for name in single if getattr(self, name) is not None}

    def case(self) -> Case:
        """The pair as the pipeline's own preparation wants it."""
        names = self.modalities
        return Case(
            NAME,
            Scan(dict(zip(names, self.fixed, strict=True)), None, self.fixed_mask),
            Scan(dict(zip(names, self.moving, strict=True)), self.landmarks, self.moving_mask, self.coordinates),
        )


def _read_lesion(path: Path | None, image: Path, problems: list[str]) -> Volume | None:
    if path is None:
        return None
    try:
        return read_lesion(path, image)
    except WssamnetError as error:
        problems.append(str(error))
        return None


def examine_pair(files: PairFiles) -> tuple[Volume | None, Volume | None]:
    """Read every file and judge it; nothing is written.

    Returns:
        the lesions of the fixed and of the moving scan, (X, Y, Z) bool on their native grids.

    Raises:
        SettingsError: no image, or not as many fixed as moving ones.
        CohortError: every problem of the files, one line each.
    """
    if not files.fixed or len(files.fixed) != len(files.moving):
        raise SettingsError(
            f"{len(files.fixed)} fixed and {len(files.moving)} moving images were given",
            "--fixed, --moving",
            "as many of each, the same modalities in the same order",
        )
    problems: list[str] = []
    missing = {path: fault for path in files.all().values() if (fault := lacking(path))}
    if missing:
        raise CohortError([ImageError(fault, path, "check the name") for path, fault in missing.items()])
    try:
        check_cohort([files.case()], files.modalities)
    except CohortError as error:
        problems += error.problems
        raise CohortError(problems) from None
    lesions = (
        _read_lesion(files.fixed_lesion, files.fixed[0], problems),
        _read_lesion(files.moving_lesion, files.moving[0], problems),
    )
    if problems:
        raise CohortError(problems)
    return lesions

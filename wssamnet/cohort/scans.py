"""One scan's files: can they be read, do they agree, do the landmarks lie in the image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from wssamnet.cohort.cases import Scan
from wssamnet.errors import WssamnetError
from wssamnet.geometry import Array, Frame, Grid
from wssamnet.images import Volume, read_grid, read_image
from wssamnet.landmarks import COORDINATES, Coordinates, Landmarks, read_landmarks, to_lps

_SPACING_MM = (0.1, 12.0)
_EXTENT_MM = (30.0, 600.0)
_MASK_MM = 20.0
_LARGEST_VOXELS = 1 << 29
_FARTHEST_MM = 1e5  # headers are float32: beyond it voxels move by a hundredth of a millimetre
_MASK = "1 in the brain, 0 outside"
_MEANT = {"lps": "LPS millimetres", "ras": "RAS millimetres", "voxel": "voxel indices"}


@dataclass
class ScanReport:
    """What was found out about a scan; filled while it is examined.

    Args:
        first: its first readable image of those asked for.
        grid: that image's grid.
        landmark_ids: where a landmark file could be read.
        problems: one line each.
    """

    first: Path | None = None
    grid: Grid | None = None
    landmark_ids: tuple[int, ...] | None = None
    problems: list[str] = field(default_factory=list)


def _grid_problem(grid: Grid) -> str | None:
    sizes = " x ".join(f"{value:.3g}" for value in grid.spacing)
    if grid.spacing.min() < _SPACING_MM[0] or grid.spacing.max() > _SPACING_MM[1]:
        return f"has voxels of {sizes} mm (between {_SPACING_MM[0]:g} and {_SPACING_MM[1]:g} mm)"
    extent = grid.spacing * grid.shape
    if extent.min() < _EXTENT_MM[0] or extent.max() > _EXTENT_MM[1]:
        covers = " x ".join(f"{value:.0f}" for value in extent)
        return f"covers {covers} mm (a brain: between {_EXTENT_MM[0]:g} and {_EXTENT_MM[1]:g} mm along each axis)"
    far = np.abs(grid.convert(np.array([(0, 0, 0), np.array(grid.shape) - 1]), Frame.IJK, Frame.LPS)).max()
    if far > _FARTHEST_MM:
        return f"lies {far:.3g} mm from the origin of the world (a header that puts the scan near it)"
    return None


def _difference(grid: Grid, other: Grid) -> str:
    if grid.shape != other.shape:
        return f"{grid.shape} voxels against {other.shape}"
    return "their affines differ"


def _read(path: Path, what: str, report: ScanReport) -> Volume | None:
    """Read one image of the scan, and judge its grid and content."""
    try:
        grid = read_grid(path)
        if np.prod(np.array(grid.shape, dtype=float)) > _LARGEST_VOXELS:
            report.problems.append(f"{path}: claims {grid.shape} voxels (a brain scan; the header may be damaged)")
            return None
        volume = read_image(path)
    except WssamnetError as error:
        report.problems.append(str(error))
        return None
    fault = _grid_problem(grid)
    if fault:
        report.problems.append(f"{path}: {fault}")
    elif volume.data.min() == volume.data.max():
        report.problems.append(f"{path}: every voxel is {volume.data.flat[0]:g} ({what})")
    elif report.grid is None:
        report.grid, report.first = grid, path
        return volume
    elif not report.grid.matches(grid):
        report.problems.append(
            f"{path}: is not on the grid of {report.first}: {_difference(grid, report.grid)} "
            "(one grid for all images of a time point)"
        )
    return volume


def _outside(landmarks: Landmarks, coordinates: Coordinates, grid: Grid) -> str:
    """Why landmarks, as the file gives them, may be outside their image: the remedy of an error."""
    for other in COORDINATES:
        if other != coordinates and grid.contains(to_lps(landmarks, other, grid).points, margin=0).all():
            meant = _MEANT[coordinates]
            return f"they look like {_MEANT[other]}; {meant}, or say --landmark-coordinates {other}"
    if coordinates != "lps":
        return f"{_MEANT[coordinates]}, as said"
    size = np.array(grid.shape)
    low, high = np.sort(grid.convert(np.array([[0, 0, 0], size - 1]), Frame.IJK, Frame.LPS), axis=0)
    span = ", ".join(f"{axis} {a:.0f} to {b:.0f}" for axis, a, b in zip("XYZ", low, high, strict=True))
    return f"LPS millimetres; the image reaches from {span}"


def _at(landmarks: Landmarks, volume: Volume) -> Array:
    """The voxels in which landmarks (LPS) lie; those outside take the nearest."""
    ijk = np.rint(volume.grid.convert(landmarks.points, Frame.LPS, Frame.IJK)).astype(int)
    i, j, k = np.clip(ijk, 0, np.array(volume.grid.shape) - 1).T
    return np.asarray(volume.data[i, j, k])


def _mask_problem(mask: Volume, image: Volume, landmarks: Landmarks | None) -> str | None:
    """An inverted mask, or one of something else: mostly where the image has nothing, or beside its landmarks."""
    inside = mask.data > 0.5
    if not inside.any():
        return f"no voxel is above 0.5 ({_MASK})"
    ends = [np.flatnonzero(inside.any(axis=others))[[0, -1]] for others in ((1, 2), (0, 2), (0, 1))]
    extent = image.grid.spacing * [last - first + 1 for first, last in ends]
    if extent.min() < _MASK_MM:
        covers = " x ".join(f"{value:.0f}" for value in extent)
        return f"covers {covers} mm (a brain: at least {_MASK_MM:g} mm along each axis)"
    if np.count_nonzero(image.data[inside]) < np.count_nonzero(inside) / 2:
        return f"is mostly where the image is 0 ({_MASK})"
    if landmarks is None or not image.grid.contains(landmarks.points).all():
        return None  # nothing to judge by, or judged already
    out = int(np.count_nonzero(_at(landmarks, mask) <= 0.5))
    return f"leaves out {out} of {len(landmarks)} landmarks ({_MASK})" if out > len(landmarks) / 2 else None


def _landmark_problem(given: Landmarks, landmarks: Landmarks, coordinates: Coordinates, volume: Volume) -> str | None:
    """Landmarks as the file gives them, and in LPS."""
    inside = volume.grid.contains(landmarks.points)
    count, meant = len(landmarks), _MEANT[coordinates]
    if not inside.all():
        if not inside.any():
            return f"all {count} landmarks lie outside the image ({_outside(given, coordinates, volume.grid)})"
        out = [ident for ident, good in zip(landmarks.ids, inside, strict=True) if not good]
        some = ", ".join(map(str, out[:6])) + (", …" if len(out) > 6 else "")
        return f"{len(out)} of {count} landmarks lie outside the image: {some} ({meant} inside it)"
    empty = int(np.count_nonzero(_at(landmarks, volume) == 0))
    if empty > count / 2:
        return f"{empty} of {count} landmarks lie on background of the image ({meant}, of this scan)"
    return None


def _examine_landmarks(
    path: Path, coordinates: Coordinates, volume: Volume | None, report: ScanReport
) -> Landmarks | None:
    """Judge landmarks, and give them in LPS where they can be."""
    try:
        given = read_landmarks(path)
    except WssamnetError as error:
        report.problems.append(str(error))
        return None
    report.landmark_ids = given.ids
    if volume is None:
        return None
    landmarks = to_lps(given, coordinates, volume.grid)
    if fault := _landmark_problem(given, landmarks, coordinates, volume):
        report.problems.append(f"{path}: {fault}")
    return landmarks


def examine_scan(name: str, scan: Scan, modalities: Sequence[str]) -> ScanReport:
    """Read everything of one scan that the settings ask for.

    Args:
        name: how to call the scan where a file is missing.
        scan: its files.
        modalities: the images to read.
    """
    report = ScanReport()
    first: Volume | None = None
    for modality in modalities:
        path = scan.images.get(modality)
        if path is None:
            has = ", ".join(sorted(scan.images)) or "no image"
            report.problems.append(f"{name}: has no {modality} (it has {has}; add the file or change `modalities`)")
            continue
        volume = _read(path, "an image with contrast", report)
        if first is None and report.first == path:
            first = volume
    landmarks = None
    if scan.landmarks is not None:
        landmarks = _examine_landmarks(scan.landmarks, scan.coordinates, first, report)
    if scan.mask is not None:
        before = len(report.problems)
        mask = _read(scan.mask, _MASK, report)
        if mask is not None and report.first == scan.mask:
            report.grid = report.first = None  # no image could be read: a mask alone places nothing
        elif mask is not None and first is not None and len(report.problems) == before:
            fault = _mask_problem(mask, first, landmarks)
            report.problems += [f"{scan.mask}: {fault}"] if fault else []
    return report


def overlap(fixed: Grid, moving: Grid) -> bool:
    """Whether the boxes around two grids in the world share any space."""
    boxes = []
    for grid in (fixed, moving):
        corners = np.array(np.meshgrid(*[(-0.5, n - 0.5) for n in grid.shape])).reshape(3, -1).T
        world = grid.convert(corners, Frame.IJK, Frame.LPS)
        boxes.append((world.min(axis=0), world.max(axis=0)))
    (low_a, high_a), (low_b, high_b) = boxes
    return bool((np.minimum(high_a, high_b) > np.maximum(low_a, low_b)).all())

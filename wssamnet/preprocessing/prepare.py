"""From a case's files to its prepared folder (see `wssamnet.preprocessing.prepared`)."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wssamnet.cohort.cases import Case, Scan
from wssamnet.errors import CohortError, GeometryError, ImageError
from wssamnet.fields import AffineMap
from wssamnet.files import folder_atomically, named_in_faults, write_json
from wssamnet.geometry import Grid
from wssamnet.images import Volume, read_image, write_image
from wssamnet.landmarks import Landmarks, write_landmarks
from wssamnet.preprocessing.affine import Prealignment, prealign
from wssamnet.preprocessing.brain import brain_mask, joint_box
from wssamnet.preprocessing.intensity import Range, brain_range
from wssamnet.preprocessing.regrid import regrid
from wssamnet.preprocessing.roi import roi_mask
from wssamnet.settings import Settings


@dataclass(frozen=True, eq=False)
class LoadedScan:
    """One scan in memory.

    Args:
        native: its first modality, in the file's own number type where that is a plain one.
        channels: (C, X, Y, Z) float32, normalised, 0 outside the brain; native grid.
        mask: (X, Y, Z) brain.
        ranges: normalisation of each channel.
        landmarks: LPS mm, where known.
    """

    native: Volume
    channels: NDArray[np.float32]
    mask: NDArray[np.bool_]
    ranges: tuple[Range, ...]
    landmarks: Landmarks | None

    @property
    def grid(self) -> Grid:
        """The native grid."""
        return self.native.grid


def load_scan(scan: Scan, modalities: tuple[str, ...]) -> LoadedScan:
    """Read a scan, find its brain and normalise it.

    Raises:
        ImageError: a modality is missing or empty; GeometryError: the grids differ.
    """
    volumes: list[Volume] = []
    for name in modalities:
        if name not in scan.images:
            raise ImageError(f"the scan has no {name}", remedy="add the file, or change `modalities`")
        volumes.append(read_image(scan.images[name], dtype=None))
        if not volumes[0].grid.matches(volumes[-1].grid):
            raise GeometryError("is not on the first modality's grid", scan.images[name], "one grid per time point")
    if scan.mask is not None:
        given = read_image(scan.mask)
        if not volumes[0].grid.matches(given.grid):
            raise GeometryError("is not on the image's grid", scan.mask)
        mask = np.asarray(given.data > 0.5)
    else:
        mask = brain_mask([volume.data for volume in volumes])
    if not mask.any():
        raise ImageError("holds no brain", scan.mask or scan.images[modalities[0]])
    ranges = tuple(brain_range(volume.data, mask) for volume in volumes)
    channels = np.stack([r.apply(volume.data, mask) for r, volume in zip(ranges, volumes, strict=True)])
    native = volumes[0]
    if native.data.dtype.kind == "f":  # scaled integers arrive as float64
        native = Volume(native.data.astype(np.float32), native.grid)
    return LoadedScan(native, channels, mask, ranges, scan.read_landmarks(native.grid))


def _digest(path: Path) -> dict[str, Any]:
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    return {"file": path.name, "bytes": path.stat().st_size, "sha256": digest}


def _sources(scan: Scan, modalities: tuple[str, ...]) -> dict[str, Any]:
    files = {name: scan.images[name] for name in modalities}
    files |= {name: path for name, path in (("landmarks", scan.landmarks), ("mask", scan.mask)) if path is not None}
    return {name: _digest(path) for name, path in files.items()}


def _record(case: Case, settings: Settings, grid: Grid, fixed: LoadedScan, moving: LoadedScan) -> dict[str, Any]:
    def ranges(scan: LoadedScan) -> dict[str, Any]:
        return {name: {"low": r.low, "high": r.high} for name, r in zip(settings.modalities, scan.ranges, strict=True)}

    return {
        "id": case.id,
        "grid": grid.to_dict(),
        "modalities": list(settings.modalities),
        "normalisation": {"fixed": ranges(fixed), "moving": ranges(moving)},
        "sources": {side: _sources(scan, settings.modalities) for side, scan in case.scans()},
        "settings": settings.model_dump(include={"modalities", "spacing_mm", "roi_voxels", "prealign", "levels"}),
    }


def _save(path: Path, array: NDArray[Any]) -> None:
    """As `np.save`, whose own writing hides that a disk is full."""
    with named_in_faults(path), path.open("wb", buffering=0) as stream:
        header = np.lib.format.header_data_from_array_1_0(array)  # type: ignore[no-untyped-call]
        np.lib.format.write_array_header_1_0(stream, header)  # type: ignore[no-untyped-call]
        left = np.ascontiguousarray(array).data.cast("B")
        while left:  # a single call writes 2 GiB at most
            left = left[stream.write(left) :]


def _write_arrays(
    folder: Path, settings: Settings, grid: Grid, fixed: LoadedScan, moving: LoadedScan, start: AffineMap
) -> None:
    for side, scan, transform in (("fixed", fixed, AffineMap()), ("moving", moving, start)):
        images, mask = regrid(scan.channels, scan.mask, scan.grid, grid, transform)
        _save(folder / f"{side}.npy", images)
        _save(folder / f"{side}_mask.npy", mask)
        if scan.landmarks is not None:
            points = transform.inverse()(scan.landmarks.points)
            _save(folder / f"{side}_roi.npy", roi_mask(points, grid, settings.roi_voxels))
        write_image(folder / f"{side}.nii.gz", scan.native)
    write_image(folder / "fixed_brain.nii.gz", Volume(fixed.mask.astype(np.uint8), fixed.grid))
    if moving.landmarks is not None:
        write_landmarks(folder / "moving_landmarks.csv", moving.landmarks)
        if fixed.landmarks is not None:
            partners = start.inverse()(moving.landmarks.select(fixed.landmarks.ids).points)
            _save(folder / "landmarks.npy", np.stack([fixed.landmarks.points, partners], axis=1))


def prepare_case(case: Case, settings: Settings, out: str | Path) -> Path:
    """Prepare one case; its folder appears whole or not at all.

    Args:
        case: a checked case.
        settings: modalities, spacing_mm, roi_voxels, prealign, levels.
        out: the root; files go to ``out/<case id>``, which replaces an earlier prepared case.

    Returns:
        the case's folder.

    Raises:
        CohortError: the folder exists and is not a prepared case.
        ImageError, GeometryError, LandmarkError: a file that the check would have refused.
    """
    clock = time.perf_counter
    target = Path(out) / case.id
    if target.exists() and not (target / "prepared.json").is_file():
        raise CohortError([f"{target}: exists and is not a prepared case (another output folder, or move it away)"])
    begin = clock()
    fixed, moving = load_scan(case.fixed, settings.modalities), load_scan(case.moving, settings.modalities)
    loaded = clock()
    start = Prealignment.none()
    if settings.prealign == "affine":
        start = prealign(fixed.channels, fixed.mask, fixed.grid, moving.channels, moving.mask, moving.grid)
    aligned = clock()
    grid = joint_box(
        fixed.mask, fixed.grid, moving.mask, moving.grid, start.transform,
        spacing_mm=settings.spacing_mm, multiple=max(16, 2 ** (settings.levels - 1)),
    )  # fmt: skip
    record = _record(case, settings, grid, fixed, moving) | start.to_dict()

    with folder_atomically(target) as temporary:
        _write_arrays(temporary, settings, grid, fixed, moving, start.transform)
        record["seconds"] = {
            "load": round(loaded - begin, 4),
            "prealign": round(aligned - loaded, 4),
            "write": round(clock() - aligned, 4),
        }
        write_json(temporary / "prepared.json", record)
    return target

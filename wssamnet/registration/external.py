"""Another tool's results as a method's: checked before any work, then left in the files of every registrar."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from wssamnet.cohort import Case, Scan
from wssamnet.cohort.scans import overlap
from wssamnet.errors import CohortError, WssamnetError
from wssamnet.fields import Chain, DisplacementField, Transform
from wssamnet.files import folder_atomically, write_json
from wssamnet.geometry import Grid
from wssamnet.images import read_grid
from wssamnet.landmarks import Landmarks, read_landmarks, write_landmarks
from wssamnet.preprocessing.prepared import PreparedCase
from wssamnet.registration.external_files import ExternalFiles, ExternalFolder, read_parts
from wssamnet.registration.protocol import Registration, load, write
from wssamnet.transforms import invert


def _some(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers[:6])) + (", …" if len(numbers) > 6 else "")


def _require_place(transform: Transform, files: tuple[Path, ...], grid: Grid, side: str) -> None:
    """A chain that begins with a field has to begin in the scan whose points it takes."""
    first = transform.transforms[0] if isinstance(transform, Chain) else transform
    if isinstance(first, DisplacementField) and not overlap(grid, first.grid):
        raise WssamnetError(
            f"does not overlap the {side} scan in space", files[0], f"a field on the {side} scan's grid"
        )


def _require_landmarks(found: Landmarks, path: Path, case: Case, grid: Grid) -> None:
    if case.moving.landmarks is None:
        return
    lost = [ident for ident in read_landmarks(case.moving.landmarks).ids if ident not in found.ids]
    if lost:
        raise WssamnetError(f"lacks the landmarks {_some(lost)}", path, f"every id of {case.moving.landmarks}")
    if not grid.contains(found.points).any():
        raise WssamnetError(
            f"all {len(found)} landmarks lie outside the fixed scan", path, "moving landmarks in fixed space, LPS mm"
        )


def _read_record(path: Path | None) -> dict[str, Any]:
    """``run.json``: seconds of the registration, device and threads; of what is not said nothing is known."""
    record: Any = {}
    if path is not None:
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            raise WssamnetError("is not JSON", path, '{"seconds": 12.5, "device": "cpu", "threads": 4}') from None
    seconds = record.get("seconds") if isinstance(record, dict) else "?"
    if isinstance(seconds, dict):
        seconds = seconds.get("register")
    if seconds is not None and (not isinstance(seconds, int | float) or not math.isfinite(seconds) or seconds < 0):
        raise WssamnetError(f"gives the seconds as {seconds!r}", path, '{"seconds": 12.5}, of one registration')
    device, threads = record.get("device"), record.get("threads")
    if threads is not None and (type(threads) is not int or threads < 1):
        raise WssamnetError(f"gives the threads as {threads!r}", path, '{"threads": 4}, a whole number')
    return {
        "seconds": {} if seconds is None else {"register": float(seconds)},
        "device": None if device is None else str(device),
        "threads": threads,
    }


def _grid_of(scan: Scan) -> Grid:
    """Of the first image that can be read: one that cannot may be of a modality that nobody asked for."""
    paths = sorted(scan.images.values(), key=lambda path: path != scan.images.get("t1ce"))
    for path in paths[:-1]:
        with suppress(WssamnetError):
            return read_grid(path)
    return read_grid(paths[-1])


def _check_case(files: ExternalFiles, case: Case) -> list[str]:
    problems: list[str] = []
    try:
        fixed, moving = (_grid_of(scan) for _, scan in case.scans())
    except WssamnetError as error:
        return [str(error)]
    for parts, grid, side in ((files.pull_back, fixed, "fixed"), (files.push_forward, moving, "moving")):
        try:
            if parts:
                _require_place(read_parts(parts), tuple(part.path for part in parts), grid, side)
        except WssamnetError as error:
            problems.append(str(error))
    try:
        if files.landmarks is not None:
            _require_landmarks(read_landmarks(files.landmarks), files.landmarks, case, fixed)
        _read_record(files.record)
    except WssamnetError as error:
        problems.append(str(error))
    return problems


def check_external(root: Path, cases: Sequence[Case]) -> list[ExternalFiles]:
    """Read every file that another tool left for some cases; nothing is written.

    Args:
        root: its folder; see `external_files`.
        cases: those that it will be judged on.

    Returns:
        the files of the cases that it has; the others are missing.

    Raises:
        WssamnetError: the folder is not there, or has nothing for any case.
        CohortError: every file that cannot be used, one line each.
    """
    folder = ExternalFolder(root)
    found: list[ExternalFiles] = []
    problems: list[str] = []
    for case in cases:
        try:
            files = folder.files(case.id)
        except WssamnetError as error:
            problems.append(str(error))
            continue
        if files is not None:
            found.append(files)
            problems += _check_case(files, case)
    if problems:
        raise CohortError(problems)
    if not found:
        some = ", ".join(case.id for case in cases[:3]) + (", …" if len(cases) > 3 else "")
        raise WssamnetError("holds nothing for any test case", root, f"files or folders named by case: {some}")
    return found


class ExternalMethod:
    """Another tool's results under a name of the table.

    Args:
        name: folder and column.
        root: the tool's folder.

    Raises:
        WssamnetError: there is no such folder.
    """

    seed: int | None = None

    def __init__(self, name: str, root: Path) -> None:
        self.name = name
        self.device = "unknown"
        self._folder = ExternalFolder(root)

    def _files(self, case: PreparedCase) -> ExternalFiles:
        files = self._folder.files(case.id)
        if files is None:
            raise WssamnetError(f"holds nothing for case {case.id}", self._folder.root, "leave the case out")
        return files

    def _record(self, files: ExternalFiles) -> dict[str, Any]:
        given = {
            "files": [str(path) for path in files.all()],
            # the direction that the tool does not give
            "inverted": [
                name
                for name, parts in (("fixed_to_moving", files.pull_back), ("moving_to_fixed", files.push_forward))
                if not parts
            ],
        }
        # it was given the scans as they are
        return {**_read_record(files.record), "prealigned_by": None, "versions": {}, "external": given}

    def register(self, case: PreparedCase) -> Registration:
        """Read the tool's transforms; whatever direction is not there is the inverse of the other.

        Raises:
            WssamnetError: there is none, or it cannot be read.
        """
        files = self._files(case)
        if not files.pull_back and not files.push_forward:
            raise WssamnetError("has landmarks alone", files.landmarks, "a transform")
        pull_back = read_parts(files.pull_back) if files.pull_back else None
        push_forward = read_parts(files.push_forward) if files.push_forward else None
        landmarks = None if files.landmarks is None else read_landmarks(files.landmarks)
        return Registration(
            pull_back if pull_back is not None else invert(read_parts(files.push_forward)),
            push_forward if push_forward is not None else invert(read_parts(files.pull_back)),
            self._record(files),
            landmarks,
        )

    def take(self, case: PreparedCase, out: Path) -> Path:
        """Leave a case's registration folder: all of the usual files, or ``landmarks.csv`` and ``run.json`` where the
        tool gives landmarks alone.

        Returns:
            ``out/<name>/<case>``.

        Raises:
            WssamnetError: a file cannot be read, or there is none.
        """
        files = self._files(case)
        if files.pull_back or files.push_forward:
            return write(self, load(case), self.register(case), 0.0, out)
        assert files.landmarks is not None  # a case without any file is None
        with folder_atomically(out / self.name / case.id) as folder:
            landmarks = read_landmarks(files.landmarks)
            write_landmarks(folder / "landmarks.csv", Landmarks(landmarks.ids, np.asarray(landmarks.points)))
            record = {"method": self.name, "case": case.id, "seed": None, "landmarks_alone": True}
            write_json(folder / "run.json", {**record, **self._record(files)})
        return out / self.name / case.id

"""Register two scans of one head; the same code as the pipeline's, around files of any name."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from wssamnet.errors import SettingsError
from wssamnet.fields import DisplacementField, resample
from wssamnet.files import folder_atomically, write_json
from wssamnet.images import read_displacement, read_image, write_image
from wssamnet.landmarks import COORDINATES, Coordinates
from wssamnet.pair.folder import COMMAND, require_free
from wssamnet.pair.inputs import PairFiles, examine_pair
from wssamnet.pair.picture import draw_planes
from wssamnet.preprocessing import prepare_case
from wssamnet.preprocessing.prepared import PreparedCase, load_prepared
from wssamnet.registration.protocol import run
from wssamnet.registration.refined import RefinementRegistrar
from wssamnet.settings import make_settings

Files = Sequence[str | Path] | str | Path


@dataclass(frozen=True)
class PairRegistration:
    """Where the result lies.

    Args:
        folder: all of it.
        warped: the moving images on the fixed grid, in the order given.
        fixed_to_moving: pull-back, native fixed grid, LPS mm; it warps moving images.
        moving_to_fixed: push-forward, native moving grid, LPS mm; it carries moving points.
        landmarks: the moving landmarks in fixed space, if there are any.
        picture: PNG.
        record: content of ``run.json``.
    """

    folder: Path
    warped: tuple[Path, ...]
    fixed_to_moving: Path
    moving_to_fixed: Path
    landmarks: Path | None
    picture: Path
    record: dict[str, Any]


def _paths(files: Files) -> tuple[Path, ...]:
    return (Path(files),) if isinstance(files, str | Path) else tuple(map(Path, files))


def _path(file: str | Path | None) -> Path | None:
    return None if file is None else Path(file)


def _warped_name(number: int) -> str:
    return "warped.nii.gz" if number == 1 else f"warped_{number}.nii.gz"


def _complete(result: Path, files: PairFiles, case: PreparedCase, begin: float) -> None:
    """Add the other modalities, the picture, and what the pair's own record says."""
    displacement, grid = read_displacement(result / "fixed_to_moving.nii.gz")
    field = DisplacementField(displacement, grid)
    for number, path in enumerate(files.moving[1:], start=2):
        write_image(result / _warped_name(number), resample(read_image(path, dtype=None), grid, field))
    brain = read_image(case.folder / "fixed_brain.nii.gz", dtype=np.uint8)
    warped = read_image(result / "warped.nii.gz")
    regular = draw_planes(result / "planes.png", case.image("fixed"), case.image("moving"), warped, brain, field)
    record = json.loads((result / "run.json").read_text(encoding="utf-8"))
    record |= {
        "command": COMMAND,
        "inputs": {role: str(path.resolve()) for role, path in files.all().items()},
        "sources": case.record["sources"],
        "prealignment": case.record["prealignment"],
        "prealignment_evidence": case.record.get("prealignment_evidence"),
        "regularity": asdict(regular),
        "total_seconds": round(time.perf_counter() - begin, 3),
    }
    record["seconds"]["prepare"] = round(sum(case.record["seconds"].values()), 4)
    write_json(result / "run.json", record)


def register_pair(
    fixed: Files,
    moving: Files,
    out: str | Path,
    *,
    landmarks: str | Path | None = None,
    landmark_coordinates: Coordinates = "lps",
    fixed_mask: str | Path | None = None,
    moving_mask: str | Path | None = None,
    fixed_lesion: str | Path | None = None,
    moving_lesion: str | Path | None = None,
    refinement: Literal["fast", "accurate"] = "accurate",
) -> PairRegistration:
    """Register a moving scan to a fixed one: affine pre-alignment, then instance optimisation.

    Args:
        fixed, moving: one NIfTI file each, or as many of each in one order (modalities). Any orientation,
            spacing and file name; all of one side on one grid.
        out: a folder that is new, empty, or a former result of this function, which is then replaced.
        landmarks: points of the moving scan, ``Landmark,X,Y,Z``.
        landmark_coordinates: what they are: "lps" or "ras" millimetres, or "voxel": indices of the moving image from
            0. The result is in LPS mm.
        fixed_mask, moving_mask: brain, where the scans are not skull-stripped; else everything brighter
            than the background counts.
        fixed_lesion, moving_lesion: tumour, cavity or lesion; around its voxels similarity is not asked for,
            and the deformation is carried on from beside it.
        refinement: "fast" (one direction) or "accurate" (both directions, averaged).

    Returns:
        the files written; the folder appears whole or not at all.

    Raises:
        WssamnetError: a file cannot be used (every problem, one line each), or `out` holds something else.
    """
    begin = time.perf_counter()
    if refinement not in ("fast", "accurate"):
        raise SettingsError(f"'{refinement}' is unknown", "--refinement", "fast or accurate")
    out = Path(out)
    if landmark_coordinates not in COORDINATES:
        raise SettingsError(f"'{landmark_coordinates}' is unknown", "--landmark-coordinates", "lps, ras or voxel")
    files = PairFiles(
        _paths(fixed),
        _paths(moving),
        landmarks=_path(landmarks),
        fixed_mask=_path(fixed_mask),
        moving_mask=_path(moving_mask),
        fixed_lesion=_path(fixed_lesion),
        moving_lesion=_path(moving_lesion),
        coordinates=landmark_coordinates,
    )
    require_free(out, files.all().values())
    lesions = examine_pair(files)
    settings = make_settings(values={"modalities": files.modalities, "refinement": refinement})
    with folder_atomically(out) as folder:
        scratch = folder / "scratch"
        case = load_prepared(prepare_case(files.case(), settings, scratch / "prepared"))
        registrar = RefinementRegistrar(refinement, fixed_lesion=lesions[0], moving_lesion=lesions[1])
        result = run(registrar, case, scratch / "registration")
        _complete(result, files, case, begin)
        for file in result.iterdir():
            file.rename(folder / file.name)
        shutil.rmtree(scratch)
        require_free(out)  # still: whatever came there meanwhile is not lost
    record = json.loads((out / "run.json").read_text(encoding="utf-8"))
    return PairRegistration(
        out,
        tuple(out / _warped_name(number) for number in range(1, len(files.moving) + 1)),
        out / "fixed_to_moving.nii.gz",
        out / "moving_to_fixed.nii.gz",
        out / "landmarks.csv" if files.landmarks is not None else None,
        out / "planes.png",
        record,
    )

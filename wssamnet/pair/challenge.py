"""The BraTSReg challenge's container contract: a folder of cases in, flat files with the challenge's names out.

Baseline is our fixed scan, follow-up our moving one. Transforms pull images: ``df_b2f`` takes baseline points to
follow-up points, so it brings follow-up images onto the baseline grid; ``df_f2b`` is its inverse.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from wssamnet.cohort import Case, examine_cohort
from wssamnet.errors import CohortError, ImageError, SettingsError
from wssamnet.fields import DisplacementField, jacobian_determinant, resample
from wssamnet.files import require_folder
from wssamnet.images import Volume, read_displacement, read_image, write_image
from wssamnet.pair.register import register_pair
from wssamnet.transforms import apply_to_image

DRIVING = "t1ce"  # the modality that is registered; the others follow


def _case_output(
    case: Case, work: Path, *, fields: bool, images: bool, refinement: Literal["fast", "accurate"]
) -> list[Path]:
    """One case's files with their final names, all in `work`."""
    moving, fixed = case.moving, case.fixed
    found = register_pair(
        fixed.images[DRIVING],
        moving.images[DRIVING],
        work / "result",
        landmarks=moving.landmarks,
        fixed_mask=fixed.mask,
        moving_mask=moving.mask,
        refinement=refinement,
    )
    displacement, grid = read_displacement(found.fixed_to_moving)
    field = DisplacementField(displacement, grid)
    made = [work / f"{case.id}_detj.nii.gz"]
    write_image(made[0], Volume(jacobian_determinant(field), grid))
    renamed = [(found.landmarks, f"{case.id}.csv")] if found.landmarks is not None else []
    if fields:
        renamed += [
            (found.fixed_to_moving, f"{case.id}_df_b2f.nii.gz"),
            (found.moving_to_fixed, f"{case.id}_df_f2b.nii.gz"),
        ]
    made += [path.rename(work / name) for path, name in renamed]
    if images:
        for modality, path in moving.images.items():
            made.append(work / f"{case.id}_{modality}_f2b.nii.gz")
            write_image(made[-1], resample(read_image(path), grid, field))
    return made


def _require_readable(images: Sequence[Path]) -> None:
    problems = []
    for path in images:
        try:
            read_image(path)
        except ImageError as error:
            problems.append(str(error))
    if problems:
        raise CohortError(problems)


def generate_output(
    source: str | Path,
    out: str | Path,
    *,
    fields: bool = False,
    images: bool = False,
    refinement: Literal["fast", "accurate"] = "accurate",
    progress: Callable[[str], None] | None = None,
) -> list[Path]:
    """Register every case of a folder and write what the challenge asks for, flat.

    ``BraTSReg_XXX.csv``: the follow-up landmarks in baseline space, LPS mm, where the follow-up has landmarks.
    ``BraTSReg_XXX_detj.nii.gz``: det J of ``df_b2f``, baseline grid. With `fields`, ``…_df_b2f.nii.gz`` (baseline grid)
    and ``…_df_f2b.nii.gz`` (follow-up grid), ITK displacement fields in LPS mm. With `images`,
    ``…_{t1,t1ce,t2,flair}_f2b.nii.gz``: every follow-up image that there is, on the baseline grid.

    Args:
        source: the cases' folder, in the challenge's layout; every case is checked before any work.
        out: a folder, made where it is missing. Files of the same names are replaced, others are left alone.
        refinement: "fast" or "accurate".
        progress: called with each finished case's name.

    Returns:
        the files written; those of one case appear when all of them are ready.

    Raises:
        WssamnetError: a case cannot be used (every problem, one line each), or `out` is a file.
    """
    out = Path(out)
    require_folder(out, "another --output")
    cases = examine_cohort(source, (DRIVING,))
    if images:
        _require_readable([path for case in cases for path in case.moving.images.values()])
    out.mkdir(parents=True, exist_ok=True)
    written: list[Path] = []
    for case in cases:
        with tempfile.TemporaryDirectory(prefix=".wssamnet-", dir=out) as work:
            made = _case_output(case, Path(work), fields=fields, images=images, refinement=refinement)
            written += [path.replace(out / path.name) for path in made]
        if progress is not None:
            progress(case.id)
    return written


def apply_deformation(field: str | Path, image: str | Path, interpolation: str) -> Volume:
    """An image through one of the fields above, on the grid where the field lives.

    Args:
        field: ``…_df_b2f.nii.gz`` for follow-up images, ``…_df_f2b.nii.gz`` for baseline images.
        image: 3-D, linear gives float32, the others the image's own type.
        interpolation: "linear", "nearest" or "label".

    Raises:
        ImageError, GeometryError: a file cannot be used.
        SettingsError: an unknown interpolation.
    """
    if interpolation not in ("linear", "nearest", "label"):
        raise SettingsError(f"'{interpolation}' is unknown", "--interpolation", "linear, nearest or label")
    displacement, grid = read_displacement(field)
    kept = DisplacementField(np.asarray(displacement, dtype=np.float32), grid)
    return apply_to_image(image, kept, grid, interpolation=interpolation)  # type: ignore[arg-type]  # checked above

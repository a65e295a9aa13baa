"""``wssamnet register``"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from wssamnet.cli.options import Coordinates, LandmarkCoordinates


class Refinement(StrEnum):
    """How much work is done."""

    fast = "fast"
    accurate = "accurate"


def register(
    fixed: Annotated[list[Path], typer.Option(help="Scan whose space is kept. Repeatable, one a modality.")],
    moving: Annotated[list[Path], typer.Option(help="Scan to be brought there; as many, in the same order.")],
    landmarks: Annotated[Path | None, typer.Option(help="Points of the moving scan: Landmark,X,Y,Z in LPS mm.")] = None,
    landmark_coordinates: LandmarkCoordinates = Coordinates.lps,
    fixed_mask: Annotated[
        Path | None, typer.Option(help="Brain of the fixed scan, on its grid; for scans with a skull.")
    ] = None,
    moving_mask: Annotated[Path | None, typer.Option(help="Brain of the moving scan, on its grid.")] = None,
    fixed_lesion: Annotated[
        Path | None, typer.Option(help="Voxels of the fixed scan to leave out of the similarity.")
    ] = None,
    moving_lesion: Annotated[
        Path | None, typer.Option(help="Voxels of the moving scan to leave out of the similarity.")
    ] = None,
    refinement: Annotated[Refinement, typer.Option(help="fast: one direction; accurate: both, averaged.")] = (
        Refinement.accurate
    ),
    out: Annotated[
        Path, typer.Option(help="Folder that is new, empty, or a former result, which is then replaced.")
    ] = Path("registered"),
) -> None:
    """Register one pair of scans: warped images, both transforms, warped landmarks, run.json and a picture.

    For prepared cases of a cohort, and for other methods, see register-cases.
    """
    from wssamnet.pair import register_pair

    found = register_pair(
        fixed,
        moving,
        out,
        landmarks=landmarks,
        landmark_coordinates=landmark_coordinates.value,
        fixed_mask=fixed_mask,
        moving_mask=moving_mask,
        fixed_lesion=fixed_lesion,
        moving_lesion=moving_lesion,
        refinement=refinement.value,
    )
    typer.echo(f"wssamnet: registered in {found.record['total_seconds']:.1f} s: {found.folder}", err=True)

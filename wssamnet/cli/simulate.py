"""``wssamnet simulate``"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from wssamnet.cli.options import writable_folder
from wssamnet.cli.progress import progress
from wssamnet.errors import WssamnetError


def simulate(
    out: Annotated[Path, typer.Option(help="Folder of the cohort.", callback=writable_folder)],
    cases: Annotated[int, typer.Option(min=1, max=999, help="Number of cases.")] = 16,
    spacing_mm: Annotated[float, typer.Option(help="Voxel size, mm; 1 gives the challenge's grid.")] = 3.0,
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same cohort.")] = 1,
) -> None:
    """Write the embedded cohort: real anatomy, simulated tumours, surgery and deformations."""
    from wssamnet.simulation import write_cohort

    # a cohort is a folder: what an earlier call left there would be part of this one
    for other in sorted(out.glob("BraTSReg_[0-9][0-9][0-9]")):
        if int(other.name[-3:]) > cases:
            raise WssamnetError(f"holds {other.name}, which {cases} cases do not replace", out, "another --out")

    with progress("simulated", cases) as say:
        write_cohort(out, cases=cases, spacing_mm=spacing_mm, seed=seed, progress=say)

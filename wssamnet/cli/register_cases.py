"""``wssamnet register-cases``"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from wssamnet.cli.options import Out, Prepared, Set, settings_from
from wssamnet.cli.progress import progress


def register_cases(
    method: Annotated[
        str, typer.Argument(help="identity, affine, ants, voxelmorph, wssamnet, refinement or wssamnet_refined.")
    ],
    prepared: Prepared,
    out: Out,
    model: Annotated[Path | None, typer.Option(help="Folder of the trained model, for a learned method.")] = None,
    ants_preset: Annotated[
        str, typer.Option(help="How thoroughly ANTs registers: fast, defaults, good or strong.")
    ] = "good",
    three_devices: Annotated[
        bool, typer.Option("--three-devices", help="WSSAMNet: one GPU for each of its three U-Nets.")
    ] = False,
    assignments: Set = None,
) -> None:
    """Register prepared cases with one method; every method leaves the same files in OUT/METHOD/CASE."""
    begin = time.perf_counter()
    from wssamnet.registration import batch
    from wssamnet.registration.methods import make_registrar

    registrar = make_registrar(
        method, settings_from(assignments), model=model, ants_preset=ants_preset, three_devices=three_devices
    )
    start_up = time.perf_counter() - begin
    with progress(f"registered by {method}:", len(prepared)) as say:
        batch.register_cases(
            registrar, prepared, out, lambda _number, _count, folder: say(folder.name), start_up=start_up
        )

"""``wssamnet register-cases``"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wssamnet.cli.options import Out, Prepared, Set, settings_from
from wssamnet.cli.progress import progress
from wssamnet.errors import SettingsError
from wssamnet.files import FOLDER_NAME, names_a_folder

if TYPE_CHECKING:
    from wssamnet.preprocessing.prepared import PreparedCase


def register_cases(
    method: Annotated[
        str,
        typer.Argument(
            help="identity, affine, ants, voxelmorph, wssamnet, refinement, wssamnet_refined; greedy, elastix, "
            "convexadam, fireants where their packages are installed; or a name of your own, with --registrar."
        ),
    ],
    prepared: Prepared,
    out: Out,
    model: Annotated[Path | None, typer.Option(help="Folder of the trained model, for a learned method.")] = None,
    ants_preset: Annotated[
        str, typer.Option(help="How thoroughly ANTs registers: fast, defaults, good or strong.")
    ] = "good",
    skip_failed: Annotated[
        bool, typer.Option("--skip-failed", help="Leave a case that fails out, say so, and go on with the others.")
    ] = False,
    name: Annotated[
        str | None, typer.Option(help="Name of the results, where several models of one method are compared.")
    ] = None,
    registrar: Annotated[
        str | None, typer.Option(metavar="FILE:CLASS", help="A registrar of your own; see docs/methods.md.")
    ] = None,
    three_devices: Annotated[
        bool, typer.Option("--three-devices", help="WSSAMNet: one GPU for each of its three U-Nets.")
    ] = False,
    assignments: Set = None,
) -> None:
    """Register prepared cases with one method; every method leaves the same files in OUT/METHOD/CASE."""
    if name is not None and not names_a_folder(name):
        raise SettingsError(f"'{name}' is not allowed", "--name", FOLDER_NAME)
    begin = time.perf_counter()
    from wssamnet.registration import batch
    from wssamnet.registration.methods import make_registrar

    def tell(case: PreparedCase, fault: Exception) -> None:
        print(f"wssamnet: {method} failed on {case.id}, which is left out: {fault}", file=sys.stderr, flush=True)

    def done(_number: int, _count: int, folder: Path) -> None:
        say(folder.name)
        warned = json.loads((folder / "run.json").read_text(encoding="utf-8")).get("warnings") or []
        for line in [warned] if isinstance(warned, str) else warned:
            print(f"wssamnet: {made.name}, {folder.name}: {line}", file=sys.stderr, flush=True)

    made = make_registrar(
        method,
        settings_from(assignments),
        model=model,
        ants_preset=ants_preset,
        own=registrar,
        three_devices=three_devices,
    )
    made.name = name or made.name
    start_up = time.perf_counter() - begin
    with progress(f"registered by {made.name}:", len(prepared)) as say:
        batch.register_cases(
            made,
            prepared,
            out,
            done,
            failed=tell if skip_failed else None,
            start_up=start_up,
        )

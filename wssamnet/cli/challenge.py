"""``wssamnet generate-output`` and ``wssamnet apply-deformation``: the BraTSReg challenge's container contract."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from wssamnet.cli.apply import Interpolation
from wssamnet.cli.register import Refinement


def generate_output(
    source: Annotated[Path, typer.Option("--input", "-i", help="Folder of cases, as the challenge lays them out.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder; files of the same names are replaced.")],
    fields: Annotated[bool, typer.Option("-d", help="Write the displacement fields, both ways.")] = False,
    images: Annotated[bool, typer.Option("-r", help="Write the follow-up images on the baseline grid.")] = False,
    refinement: Annotated[Refinement, typer.Option(help="fast: one direction; accurate: both.")] = Refinement.accurate,
) -> None:
    """Register every case of a folder; landmarks, det J, fields and images with the BraTSReg challenge's names."""
    from wssamnet.pair.challenge import generate_output as generate

    def say(case: str) -> None:
        typer.echo(f"wssamnet: {case} done", err=True)

    generate(source, output, fields=fields, images=images, refinement=refinement.value, progress=say)


def apply_deformation(
    field: Annotated[Path, typer.Option("-f", help="A field: …_df_b2f.nii.gz brings follow-up images to baseline.")],
    image: Annotated[Path, typer.Option("-i", help="Image or label map.")],
    interpolation: Annotated[Interpolation, typer.Option("-t", help="linear; nearest or label for label maps.")],
    path: Annotated[
        Path | None, typer.Option("-p", help="File of the output; NAME_warped.nii.gz here if none.")
    ] = None,
) -> None:
    """Bring an image through a displacement field onto the field's own grid."""
    from wssamnet.cli.apply import require_output
    from wssamnet.images import write_image
    from wssamnet.pair.challenge import apply_deformation as applied

    out = path or Path(image.name.removesuffix(".gz").removesuffix(".nii") + "_warped.nii.gz")
    require_output(out, (".nii", ".nii.gz"), [field, image])
    write_image(out, applied(field, image, interpolation.value))

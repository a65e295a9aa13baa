"""``wssamnet apply``"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from wssamnet.errors import WssamnetError


class Interpolation(StrEnum):
    """How an image is read between its voxels."""

    linear = "linear"
    nearest = "nearest"
    label = "label"


def require_output(out: Path, endings: tuple[str, ...], inputs: list[Path]) -> None:
    """Refuse an output that is a folder, an input, or of another ending, before any work.

    Raises:
        WssamnetError: which of these it is.
    """
    from wssamnet.files import require_writable

    if not out.name.lower().endswith(endings):
        raise WssamnetError("has the wrong ending", out, " or ".join(endings))
    if out.is_dir():
        raise WssamnetError("is a folder", out, "the name of a file")
    if out.exists() and any(path.exists() and out.samefile(path) for path in inputs):
        raise WssamnetError("is one of the inputs", out, "another --out")
    require_writable(out)


def apply(
    transform: Annotated[
        list[Path],
        typer.Option(help="A saved transform. Repeatable: points travel through the first one first, as in ANTs."),
    ],
    out: Annotated[Path, typer.Option(help="File of the output; an earlier one is replaced.")],
    image: Annotated[Path | None, typer.Option(help="Image or label map to be brought onto another grid.")] = None,
    reference: Annotated[Path | None, typer.Option(help="An image on the wanted grid, with --image.")] = None,
    points: Annotated[Path | None, typer.Option(help="Landmark,X,Y,Z in LPS mm, instead of --image.")] = None,
    interpolation: Annotated[
        Interpolation, typer.Option(help="linear; nearest or label for label maps.")
    ] = Interpolation.linear,
    inverse: Annotated[bool, typer.Option("--inverse", help="Use the inverse of the whole chain.")] = False,
) -> None:
    """Send an image, a label map or points through saved transforms, with one interpolation.

    Which transform? Points travel along it: to carry moving points to the fixed scan, moving_to_fixed.nii.gz. An
    image needs the one that takes points of the reference to points of the image: to bring the moving image onto the
    fixed grid, fixed_to_moving.nii.gz. Displacement fields (NIfTI), ITK .tfm, .txt and .h5, ANTs .mat, or a 4x4
    matrix in .txt; all in LPS mm.
    """
    if (image is None) == (points is None):
        raise WssamnetError("one of the two is needed", "--image, --points", "--image with --reference, or --points")
    if image is not None and reference is None:
        raise WssamnetError("is missing", "--reference", "an image on the wanted grid")
    if points is not None and reference is not None:
        raise WssamnetError("is not used with --points", "--reference", "leave it out")
    from wssamnet.images import write_image
    from wssamnet.landmarks import Landmarks, read_landmarks, write_landmarks
    from wssamnet.transforms import apply_to_image, apply_to_points, read_chain
    from wssamnet.transforms.applying import not_inverted, outside_fields

    inputs = [path for path in (*transform, image, reference, points) if path is not None]
    require_output(out, (".csv",) if points is not None else (".nii", ".nii.gz"), inputs)
    chain = read_chain(transform)
    if image is not None and reference is not None:
        write_image(out, apply_to_image(image, chain, reference, interpolation=interpolation.value, inverse=inverse))
        return
    landmarks = read_landmarks(inputs[-1])
    mapped = apply_to_points(landmarks.points, chain, inverse=inverse)
    write_landmarks(out, Landmarks(landmarks.ids, mapped))
    count = len(landmarks)
    if inverse and (lost := not_inverted(landmarks.points, mapped, chain)):
        typer.echo(f"wssamnet: {lost} of {count} points: the transform has no inverse there", err=True)
    elif lost := outside_fields(landmarks.points, chain, inverse=inverse):
        typer.echo(f"wssamnet: {lost} of {count} points lie outside the field, which leaves them unmoved", err=True)

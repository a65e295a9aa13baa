"""What makes a training the same training: the content of its data and models, and the code that runs it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path

import wssamnet
from wssamnet.training.dataset import TrainingSet

_ROOMS = ("training", "models", "losses", "kernels")
_FILES = ("settings.py", "geometry.py", "preprocessing/regrid.py", "preprocessing/seen.py")


def content_digest(files: Iterable[Path]) -> str:
    """Digest of the files' bytes, in the order given; their names and places do not matter."""
    digest = hashlib.sha256()
    for file in files:
        with file.open("rb") as stream:
            digest.update(hashlib.file_digest(stream, "blake2b").digest())
    return digest.hexdigest()


def code_digest() -> str:
    """Digest of the package's code that decides what a training step does."""
    package = Path(wssamnet.__file__).parent
    return content_digest(
        [*(package / name for name in _FILES), *(f for room in _ROOMS for f in sorted((package / room).glob("*.py")))]
    )


def training_identity(cases: TrainingSet, arrays: Sequence[str], models: Sequence[str | Path] = ()) -> list[object]:
    """Everything besides the settings that decides a training's result.

    Args:
        cases: the training cases. Their arrays are read once, at the speed of the disk.
        arrays: those that the training uses; the two masks, which decide the box, are taken as well.
        models: folders of the models that it starts from.

    Returns:
        plain values: id and digest of each case, the voxel size, a digest of each model, a digest of the code.
    """
    names = sorted({*arrays, "fixed_mask", "moving_mask"})
    data = [[case.id, content_digest(case.folder / f"{name}.npy" for name in names)] for case in cases.cases]
    starts = [content_digest([Path(model) / "model.safetensors"]) for model in models]
    return [data, list(cases.spacing), starts, code_digest()]

"""Models as folders: ``model.safetensors`` with the weights, ``settings.json`` with what builds the network.

Nothing is ever unpickled, so a folder from a stranger cannot run code.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Literal, cast

import torch
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from wssamnet.errors import ModelError
from wssamnet.files import write_json, written_atomically
from wssamnet.models.unet import UNet
from wssamnet.models.voxelmorph import VoxelMorph, voxelmorph_model
from wssamnet.models.wssamnet import WSSAMNet, segmentation_unet
from wssamnet.settings import Settings

Kind = Literal["segmentation", "wssamnet", "voxelmorph"]
Model = UNet | WSSAMNet | VoxelMorph
WEIGHTS, DESCRIPTION = "model.safetensors", "settings.json"
_FORMAT = 1
_LIKE = 1.1  # voxels whose edges differ by a smaller factor are the same to a network


def build_model(kind: Kind, settings: Settings, channels: int) -> Model:
    """A freshly initialised network in channels-last memory; the initial weights follow torch's seed."""
    model: Model
    if kind == "segmentation":
        model = segmentation_unet(settings, channels)
    elif kind == "wssamnet":
        model = WSSAMNet(settings, channels)
    else:
        model = voxelmorph_model(settings, channels)
    return model.to(memory_format=torch.channels_last_3d)


def save_model(folder: str | Path, model: nn.Module, *, kind: Kind, settings: Settings, channels: int) -> Path:
    """Write a model into `folder`, each file whole or not at all, the weights last.

    Returns:
        the folder.

    Raises:
        ModelError: the disk is full.
    """
    folder = Path(folder)
    content = {"format": _FORMAT, "kind": kind, "channels": channels, "settings": settings.model_dump(mode="json")}
    write_json(folder / DESCRIPTION, content)
    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    with written_atomically(folder / WEIGHTS) as temporary:
        try:
            save_file(weights, temporary)
        except SafetensorError as error:  # how it tells of a full disk
            raise ModelError(f"cannot be written: {error}", folder / WEIGHTS, "make room, then run it again") from None
    return folder


def read_description(folder: str | Path) -> tuple[Kind, Settings, int]:
    """What a model folder holds: kind, settings and channels.

    Raises:
        ModelError: there is no model, or its description is damaged.
    """
    path = Path(folder) / DESCRIPTION
    remedy = "a folder that one of the `wssamnet train-…` verbs wrote"
    if not path.is_file():
        raise ModelError(f"holds no model: {DESCRIPTION} is missing", Path(folder), remedy)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        kind, channels = content["kind"], int(content["channels"])
        settings = Settings(**content["settings"])
    except (ValueError, KeyError, TypeError) as error:
        reason = f"{error.error_count()} values are not allowed" if isinstance(error, ValidationError) else repr(error)
        raise ModelError(f"is damaged: {reason}", path, remedy) from None
    if channels < 1:
        raise ModelError(f"is damaged: {channels} channels", path, remedy)
    if content.get("format") != _FORMAT or kind not in ("segmentation", "wssamnet", "voxelmorph"):
        raise ModelError(f"describes '{kind}' in format {content.get('format')}", path, "a model of this version")
    return cast(Kind, kind), settings, channels


def other_voxels(folder: str | Path, edges: Iterable[float]) -> tuple[float, ...] | None:
    """The voxels that a model was trained on, where they are others than one is about to show it.

    Args:
        folder: the model's, with the record of its training.
        edges: (3,) of the voxels that are to be shown, mm.

    Returns:
        (3,) mm; None where they are alike, or the record is gone.
    """
    try:
        trained = json.loads((Path(folder) / "training.json").read_text(encoding="utf-8"))["spacing_mm"]
        factors = [max(a / b, b / a) for a, b in zip(map(float, trained), edges, strict=True)]
    except (OSError, ValueError, KeyError, TypeError, ZeroDivisionError):
        return None
    return tuple(map(float, trained)) if max(factors) > _LIKE else None


def _least_bytes(kind: Kind, settings: Settings, channels: int) -> int:
    """What the weights of the first and of the deepest convolution alone take, so that no description of a stranger
    makes us build a network that its own weights cannot fill."""
    first = settings.features if kind != "voxelmorph" else 16
    deepest = settings.features**2 << (2 * settings.levels - 3) if kind != "voxelmorph" else 0
    return 4 * 27 * max(first * channels, deepest)


def load_model(folder: str | Path, kind: Kind | None = None) -> Model:
    """Read a model, ready to predict (evaluation mode, CPU, channels-last memory).

    Args:
        folder: what `save_model` wrote.
        kind: the kind that is wanted; None for any.

    Raises:
        ModelError: there is no model, it is damaged, of another kind, or does not fit its description.
    """
    folder = Path(folder)
    found, settings, channels = read_description(folder)
    if kind is not None and found != kind:
        raise ModelError(f"holds a {found} model", folder, f"a {kind} model is wanted here")
    path = folder / WEIGHTS
    if not path.is_file():
        raise ModelError("there are no weights", path, "train the model again")
    try:
        weights = load_file(path)
    except (SafetensorError, OSError) as error:
        raise ModelError(
            f"is damaged or not a safetensors file: {str(error).splitlines()[0]}", path, "copy or train it again"
        ) from None
    if _least_bytes(found, settings, channels) > path.stat().st_size:
        raise ModelError(
            f"holds less than the network that {DESCRIPTION} describes", path, "the weights that belong to it"
        )
    model = build_model(found, settings, channels)
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        reason = str(error).splitlines()[1].strip() if "\n" in str(error) else str(error)
        raise ModelError(
            f"does not fit the network that {DESCRIPTION} describes: {reason}", path, "the weights that belong to it"
        ) from None
    return model.eval()

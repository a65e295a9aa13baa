"""WSSAMNet put together from the models of earlier stages."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from torch import nn

from wssamnet.errors import ModelError, SettingsError
from wssamnet.models.persistence import build_model, load_model, other_voxels, read_description
from wssamnet.models.placement import Placement
from wssamnet.models.wssamnet import WSSAMNet
from wssamnet.settings import Settings
from wssamnet.training.dataset import TrainingSet
from wssamnet.training.processes import Processes

_SEEN = ("modalities", "network_spacing_mm", "segmentation")  # settings that say what a network sees


def _copy(source: nn.Module, target: nn.Module, folder: str | Path) -> None:
    try:
        target.load_state_dict(source.state_dict())
    except RuntimeError:
        _, theirs, channels = read_description(folder)
        raise ModelError(
            f"does not fit: it has {theirs.features} features, {theirs.levels} levels, {channels} channels "
            f"and a {theirs.head} head, {'with' if theirs.pyramid else 'without'} a pyramid",
            folder,
            "train it with the same settings",
        ) from None


def _check(folder: str | Path, settings: Settings, spacing: Sequence[float], names: Sequence[str]) -> None:
    """Weights of the same shape may still have been made for other images: what no shape tells is compared."""
    _, theirs, _ = read_description(folder)
    for name in names:
        if getattr(theirs, name) != getattr(settings, name):
            raise ModelError(
                f"was trained with {name} {getattr(theirs, name)}, not {getattr(settings, name)}",
                folder,
                "train it with the same settings",
            )
    if trained := other_voxels(folder, spacing):
        there, here = (" x ".join(f"{edge:.3g}" for edge in one) for one in (trained, spacing))
        raise ModelError(f"was trained on voxels of {there} mm, not {here}", folder, "train it on the same cases")


def wssamnet_with_segmentation(
    segmentation: tuple[str | Path, str | Path],
    settings: Settings,
    cases: TrainingSet,
    pretrained: str | Path | None = None,
) -> WSSAMNet:
    """A WSSAMNet that starts from trained parts.

    Args:
        segmentation: folders of the fixed and the moving segmentation model.
        settings: the network's shape.
        cases: which the whole is to be trained on.
        pretrained: folder of a WSSAMNet whose registration U-Net, and hints where it has them, are taken; None for
            fresh ones.

    Raises:
        ModelError: a folder holds no such model, one of another shape, or one that was trained on other images
            (voxels, `modalities`, `network_spacing_mm`, `segmentation`; pretrained, `head`, `attention`, `velocity`
            and `correlation_radius` too).
    """
    model = build_model("wssamnet", settings, cases.channels)
    if not isinstance(model, WSSAMNet):
        raise TypeError(f"a wssamnet was built as {type(model).__name__}")
    for folder in segmentation:
        _check(folder, settings, cases.spacing, _SEEN)
    if pretrained is not None:
        _check(pretrained, settings, cases.spacing, (*_SEEN, "head", "attention", "velocity", "correlation_radius"))
    fixed, moving = segmentation
    _copy(load_model(fixed, "segmentation"), model.segmentation_fixed, fixed)
    _copy(load_model(moving, "segmentation"), model.segmentation_moving, moving)
    if pretrained is not None:
        source = load_model(pretrained, "wssamnet")
        _copy(source.get_submodule("registration"), model.registration, pretrained)
        if model.hints is not None:  # what the U-Net has learnt to read
            _copy(source.get_submodule("hints"), model.hints, pretrained)
    return model


def placed(model: WSSAMNet, processes: Processes, placement: Placement | None) -> Placement:
    """Move the network to its devices.

    Args:
        model: the network, changed in place.
        processes: that train it.
        placement: a device for each U-Net; None for the process's own.

    Returns:
        where it is.

    Raises:
        SettingsError: a device for each U-Net in each of several processes.
    """
    if placement is not None and processes.count > 1:
        raise SettingsError("three_devices goes with one process", "placement", f"not with {processes.count}")
    placement = placement or Placement.one(processes.device)
    placement.place(model)
    return placement

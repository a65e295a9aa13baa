"""The methods by name."""

from __future__ import annotations

import difflib
from pathlib import Path

from wssamnet.errors import SettingsError
from wssamnet.registration.protocol import Registrar
from wssamnet.settings import Settings

METHODS = ("identity", "affine", "ants", "voxelmorph", "wssamnet", "refinement", "wssamnet_refined")


def _needed(model: Path | None, method: str) -> Path:
    if model is None:
        raise SettingsError("is missing", "--model", f"{method} needs the folder of a trained model")
    return model


def make_registrar(
    method: str,
    settings: Settings,
    *,
    model: Path | None = None,
    ants_preset: str = "good",
    three_devices: bool = False,
) -> Registrar:
    """Build a registrar; only what the method needs is imported and loaded.

    Args:
        method: one of `METHODS`.
        settings: the seed and the refinement are taken from it.
        model: folder of the trained model, for voxelmorph, wssamnet and wssamnet_refined.
        ants_preset: a name of `wssamnet.registration.ants.PRESETS`, for ants.
        three_devices: a GPU for each of WSSAMNet's three U-Nets.

    Raises:
        SettingsError: an unknown method or preset, or no model given.
        ModelError: the model cannot be loaded.
    """
    match method:
        case "identity":
            from wssamnet.registration.identity import IdentityRegistrar

            return IdentityRegistrar()
        case "affine":
            from wssamnet.registration.affine import AffineRegistrar

            return AffineRegistrar()
        case "ants":
            from wssamnet.registration.ants import AntsRegistrar

            return AntsRegistrar(ants_preset, seed=settings.seed)
        case "voxelmorph":
            from wssamnet.registration.voxelmorph import VoxelMorphRegistrar

            return VoxelMorphRegistrar(_needed(model, method))
        case "wssamnet":
            from wssamnet.registration.wssamnet import WssamnetRegistrar

            return WssamnetRegistrar(_needed(model, method), three_devices=three_devices)
        case "refinement":
            from wssamnet.registration.refined import RefinementRegistrar

            return RefinementRegistrar(settings.refinement)
        case "wssamnet_refined":
            from wssamnet.registration.refined import RefinedWssamnetRegistrar

            return RefinedWssamnetRegistrar(_needed(model, method), settings.refinement, three_devices=three_devices)
        case _:
            near = difflib.get_close_matches(method, METHODS, n=1)
            remedy = f"did you mean {near[0]}?" if near else f"one of {', '.join(METHODS)}"
            raise SettingsError(f"'{method}' is not a method", "method", remedy)

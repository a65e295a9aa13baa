"""The methods by name."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from wssamnet.errors import MissingPackageError, SettingsError
from wssamnet.registration.protocol import Registrar
from wssamnet.settings import Settings

# in the table's order
METHODS = (
    *("identity", "affine", "ants", "greedy", "elastix", "convexadam", "fireants"),
    *("voxelmorph", "wssamnet", "refinement", "wssamnet_refined"),
)
_EXTRA = "pip install 'wssamnet[baselines]'"
# method: the package that it needs beyond those of wssamnet, and how to install it
OPTIONAL = {
    "greedy": ("picsl_greedy", _EXTRA),
    "elastix": ("itk-elastix", _EXTRA),
    "convexadam": ("convexAdam", _EXTRA),
    # it asks for one old version of SimpleITK, though it runs with any
    "fireants": ("fireants", "pip install --no-deps fireants SimpleITK"),
}
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,39}", re.ASCII)


def check_installed(methods: Sequence[str]) -> None:
    """See that the optional packages of some methods are there.

    Raises:
        MissingPackageError: one is not; the line names the command that installs it.
    """
    for method in methods:
        package, command = OPTIONAL.get(method, ("wssamnet", ""))
        try:
            distribution(package)
        except PackageNotFoundError:
            raise MissingPackageError(f"needs the package {package}, which is not installed", method, command) from None


def check_name(name: str, option: str) -> None:
    """See that a method which is not ours can have this name.

    Raises:
        SettingsError: it is ours, or cannot be a folder and a column.
    """
    if name in METHODS:
        raise SettingsError(f"'{name}' is a method of this tool", option, "another name")
    if name in ("row", "unit"):
        raise SettingsError(f"'{name}' is a column of the table", option, "another name")
    if not _NAME.fullmatch(name):
        raise SettingsError(
            f"'{name}' cannot be a method's name", option, "letters, digits, '_' and '-', at most 40, a letter first"
        )


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
    own: str | None = None,
    three_devices: bool = False,
) -> Registrar:
    """Build a registrar; only what the method needs is imported and loaded.

    Args:
        method: one of `METHODS`.
        settings: the seed and the refinement are taken from it.
        model: folder of the trained model, for voxelmorph, wssamnet and wssamnet_refined.
        ants_preset: a name of `wssamnet.registration.ants.PRESETS`, for ants.
        own: ``file.py:Class`` of a registrar that is not ours; `method` is then its name.
        three_devices: a GPU for each of WSSAMNet's three U-Nets.

    Raises:
        SettingsError: an unknown method or preset, no model given, or a class that is no registrar.
        MissingPackageError: the method's package is not installed.
        ModelError: the model cannot be loaded.
    """
    if own is not None:
        from wssamnet.registration.own import OwnRegistrar

        check_name(method, "--registrar")
        return OwnRegistrar(method, own)
    check_installed([method])
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
        case "greedy":
            from wssamnet.registration.greedy import GreedyRegistrar

            return GreedyRegistrar(seed=settings.seed)
        case "elastix":
            from wssamnet.registration.elastix import ElastixRegistrar

            return ElastixRegistrar(seed=settings.seed)
        case "convexadam":
            from wssamnet.registration.convexadam import ConvexAdamRegistrar

            return ConvexAdamRegistrar()
        case "fireants":
            from wssamnet.registration.fireants import FireantsRegistrar

            return FireantsRegistrar()
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

"""Every parameter of the method in one validated tree; the pipeline uses the same names.

A value is taken from, in this order: what the user set, the preset, the default below. The
defaults are the paper's, and where the paper is silent, our decision (docs/decisions.md).
"""

from __future__ import annotations

import difflib
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from wssamnet.errors import SettingsError

Modality = Literal["t1", "t1ce", "t2", "flair"]


class Settings(BaseModel):
    """Parameters of preprocessing, networks, losses and training."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    preset: Literal["paper", "best"] = Field("paper", description="named set of values that the others override")
    seed: int = Field(0, ge=0, description="seed of every random number")

    # preprocessing
    modalities: tuple[str, ...] = Field(
        ("t1ce",), min_length=1, description="channels, in order; the first one is shown and warped"
    )
    spacing_mm: float | None = Field(
        None, gt=0, description="isotropic working voxel size in mm; the scan's own when absent"
    )
    roi_voxels: int = Field(9, ge=1, description="edge of the cubic ROI around a landmark, voxels of the working grid")
    prealign: Literal["affine", "identity"] = Field("affine", description="start of every method but identity")

    # networks
    network_spacing_mm: float | None = Field(
        None,
        gt=0,
        le=12,
        description="isotropic voxel size in mm at which the learned networks see the scans; the working grid's when "
        "absent or larger",
    )
    features: int = Field(8, ge=1, description="feature maps of the first U-Net level, doubled at each level")
    levels: int = Field(3, ge=2, le=6, description="levels of each U-Net")
    attention: Literal["multiply", "residual", "none"] = Field("multiply", description="x·a, x·(1+a) or x")
    head: Literal["full", "half"] = Field("full", description="resolution of the predicted displacement field")
    correlation_radius: int = Field(
        0, ge=0, le=4, description="hand the network a local search of so many voxels; 0: the two images alone"
    )
    segmentation: Literal["full", "half"] = Field(
        "full", description="resolution at which the segmentation U-Nets see the scans; half costs an eighth"
    )
    segmentation_bias: float = Field(0.0, description="start value of the segmentation output's bias (logit)")
    velocity: bool = Field(False, description="predict a stationary velocity field and integrate it")
    pyramid: bool = Field(False, description="predict the field coarse to fine: each level of the U-Net adds to it")

    # losses
    lncc_weight: float = Field(1.0, ge=0, description="weight of the local cross-correlation")
    lncc_window: int = Field(9, ge=3, description="window edge, voxels, odd")
    lncc_squared: bool = Field(True, description="square the local correlation (usual) or not (equation 2 as printed)")
    mi_weight: float = Field(1.0, ge=0, description="weight of the mutual information")
    mi_bins: int = Field(32, ge=4, le=128, description="histogram bins of the mutual information")
    log_sigma_mm: float = Field(
        1.5,
        ge=0,
        description="sigma of the Laplacian of Gaussian before the image losses, mm; 0 compares raw intensities",
    )
    smoothness: Literal["l2", "l1", "bending"] = Field("l2", description="penalty of the displacement field")
    smoothness_weight: float = Field(1.0, ge=0, description="weight of the smoothness, field in voxels")
    focal_weight: float = Field(
        1.0, ge=0, description="weight of the focal loss when the segmentation trains end to end"
    )
    focal_gamma: float = Field(2.0, ge=0, description="exponent of the focal loss")
    landmark_weight: float = Field(0.0, ge=0, description="weight of the training landmarks' mean distance, mm")
    overlap_weight: float = Field(
        0.0, ge=0, description="weight of 1 - Dice of the training landmarks' ROIs, the moving ones warped"
    )

    # training
    batch_size: int = Field(1, ge=1, description="pairs a step")
    segmentation_steps: int = Field(2000, ge=0, description="optimiser steps of each segmentation U-Net")
    segmentation_lr: float = Field(1e-4, gt=0, description="initial learning rate, segmentation")
    pretraining_steps: int = Field(2000, ge=0, description="optimiser steps of the pretraining; 0 leaves it out")
    registration_steps: int = Field(20000, ge=0, description="optimiser steps of the registration")
    registration_lr: float = Field(1e-4, gt=0, description="initial learning rate, pretraining and registration")
    schedule: Literal["step", "cosine"] = Field(
        "step", description="step: halved after each third; cosine: to a hundredth"
    )
    stage2: Literal["end_to_end", "frozen"] = Field(
        "end_to_end", description="whether the registration also trains the segmentation U-Nets"
    )
    pretraining_rotation_deg: float = Field(10.0, ge=0, le=180, description="largest rotation about each axis, degrees")
    pretraining_scaling: float = Field(0.1, ge=0, lt=1, description="largest relative change of scale")
    pretraining_translation_mm: float = Field(8.0, ge=0, description="largest translation along each axis, mm")
    pretraining_identity: float = Field(0.1, ge=0, le=1, description="share of pairs that are the volume itself")

    # refinement
    refinement: Literal["fast", "accurate"] = Field(
        "accurate", description="instance optimisation: one direction, or both directions averaged"
    )

    # VoxelMorph baseline
    voxelmorph_steps: int = Field(20000, ge=0, description="optimiser steps of the VoxelMorph baseline")
    voxelmorph_lr: float = Field(1e-4, gt=0, description="learning rate of the VoxelMorph baseline")
    voxelmorph_integration: int = Field(
        7, ge=0, le=10, description="squarings of VoxelMorph's velocity field; 0 predicts the displacement itself"
    )
    voxelmorph_smoothness: float = Field(1.0, ge=0, description="weight of VoxelMorph's field gradient penalty")


PRESETS: dict[str, dict[str, Any]] = {
    "paper": {},
    "best": {
        "attention": "residual",
        "head": "half",
        "correlation_radius": 2,
        "segmentation": "half",
        "segmentation_bias": -3.0,
        "stage2": "frozen",
        "mi_weight": 0.0,
        "log_sigma_mm": 0.0,
        "lncc_weight": 1.0,
        "smoothness_weight": 0.3,
        "segmentation_lr": 3e-3,
        "registration_lr": 3e-3,
        "schedule": "cosine",
        "batch_size": 2,
        "voxelmorph_lr": 1e-3,
    },
}


def make_settings(preset: str = "paper", values: dict[str, Any] | None = None) -> Settings:
    """Build the settings from a preset and single values.

    Args:
        preset: "paper" or "best".
        values: names of `Settings` with values or their text; these win over the preset.

    Raises:
        SettingsError: an unknown name (with the nearest known one) or a value outside its range.
    """
    values = {name: value for name, value in (values or {}).items() if value is not None}
    for name in values:
        if name not in Settings.model_fields:
            near = difflib.get_close_matches(name, Settings.model_fields, n=1)
            raise SettingsError(
                "is not a setting", name, f"did you mean {near[0]}?" if near else "see `wssamnet settings`"
            )
    preset = str(values.pop("preset", preset))
    if preset not in PRESETS:
        raise SettingsError(f"'{preset}' is not a preset", "preset", f"one of {', '.join(PRESETS)}")
    if isinstance(values.get("modalities"), str):
        values["modalities"] = tuple(part.strip() for part in values["modalities"].split(",") if part.strip())
    try:
        settings = Settings(**{**PRESETS[preset], **values, "preset": preset})
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0]) if first["loc"] else "settings"
        raise SettingsError(f"'{first.get('input')}' is not allowed", name, first["msg"]) from None
    if len(set(settings.modalities)) < len(settings.modalities):
        raise SettingsError(f"'{','.join(settings.modalities)}' is not allowed", "modalities", "each once")
    if settings.lncc_window % 2 == 0:
        raise SettingsError(f"'{settings.lncc_window}' is not allowed", "lncc_window", "an odd number")
    if settings.pyramid and settings.levels - (settings.head == "half") < 2:
        raise SettingsError("'true' is not allowed", "pyramid", "at least 3 levels with the half head: it lacks one")
    return settings

"""What the pair's tests share."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import nilearn
import numpy as np
import SimpleITK as sitk

TEMPLATE = Path(nilearn.__file__).parent / "datasets" / "data" / "mni_icbm152_t1_tal_nlin_sym_09a_converted.nii.gz"


@dataclass(frozen=True)
class MadePair:
    """Files of the pair; `truth` holds where the moving landmarks belong."""

    fixed: Path
    moving: Path
    landmarks: Path
    truth: np.ndarray
    points: np.ndarray


def reference(size: list[int], spacing: list[float], angles: list[float], centre: np.ndarray) -> sitk.Image:
    """An empty grid around `centre`, LPS mm, turned by Euler angles in radians."""
    image = sitk.Image(size, sitk.sitkFloat32)
    turn = sitk.Euler3DTransform()
    turn.SetRotation(*angles)
    direction = np.array(turn.GetMatrix()).reshape(3, 3)
    image.SetSpacing(spacing)
    image.SetDirection(direction.ravel().tolist())
    image.SetOrigin((centre - direction @ (np.array(spacing) * (np.array(size) - 1) / 2)).tolist())
    return image

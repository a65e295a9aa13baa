"""Known deformations for the pretraining: rotation, scaling, translation, and the identity."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation
from torch import Tensor

from wssamnet.settings import Settings


def random_affine(generator: np.random.Generator, settings: Settings) -> NDArray[np.float64]:
    """Draw an affine map about the origin.

    Args:
        generator: the source of chance.
        settings: `pretraining_rotation_deg`, `pretraining_scaling`, `pretraining_translation_mm` (each drawn
            evenly from -value to value, per axis) and `pretraining_identity`, the share of identities.

    Returns:
        (4, 4), mm to mm, along the voxel axes.
    """
    matrix = np.eye(4)
    identity = generator.random() < settings.pretraining_identity
    angles, scales, shifts = generator.uniform(-1, 1, size=(3, 3))
    if identity:
        return matrix
    rotation = Rotation.from_euler("xyz", angles * settings.pretraining_rotation_deg, degrees=True).as_matrix()
    matrix[:3, :3] = rotation @ np.diag(1 + scales * settings.pretraining_scaling)
    matrix[:3, 3] = shifts * settings.pretraining_translation_mm
    return matrix


def affine_displacement(
    matrix: NDArray[np.float64], own_shape: Sequence[int], shape: Sequence[int], spacing: Sequence[float]
) -> Tensor:
    """The displacement field of an affine map about the centre of a volume.

    Args:
        matrix: (4, 4), mm to mm, along the voxel axes, about the centre.
        own_shape: the volume's shape, whose middle is the centre.
        shape: the field's shape (X, Y, Z), which may have voxels appended.
        spacing: three voxel sizes in mm.

    Returns:
        (3, X, Y, Z) float32, voxels in ijk order.
    """
    size = np.asarray(spacing, dtype=np.float64)
    centre = (np.asarray(own_shape) - 1) / 2
    linear = matrix[:3, :3] * size[None, :] / size[:, None] - np.eye(3)  # voxels to voxels, less the identity
    offset = matrix[:3, 3] / size - linear @ centre
    i, j, k = torch.meshgrid(*(torch.arange(n, dtype=torch.float32) for n in shape), indexing="ij")
    rows = [
        i * float(row[0]) + j * float(row[1]) + k * float(row[2]) + float(start)
        for row, start in zip(linear, offset, strict=True)
    ]
    return torch.stack(rows)

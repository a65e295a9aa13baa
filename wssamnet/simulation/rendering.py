"""Images of a patient: each voxel's anatomy, read from the template by one interpolation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wssamnet.geometry import Array, Frame, Grid
from wssamnet.simulation.anatomy import MASK_LEVEL, Template, load_template, tissue_fractions
from wssamnet.simulation.contrast import MODALITIES, mix
from wssamnet.simulation.flow import FlowChain
from wssamnet.simulation.patient import Patient

_COARSE = 8.0  # mm, voxels of the first search for the brain
_REACH = -13.0  # mm outside the template's brain that such a voxel may still touch brain


@dataclass(frozen=True, eq=False)
class Anatomy:
    """What lies in points of the brain.

    Args:
        tissues: (N, 3) fractions.
        texture: (N, 4).
        residual: (N,) T1 detail of the template.
    """

    tissues: NDArray[np.float32]
    texture: NDArray[np.float32]
    residual: NDArray[np.float32]


def lattice(grid: Grid, index: NDArray[np.intp] | None = None) -> Array:
    """LPS mm of a grid's voxels, all of them or those with these flat indices; (N, 3)."""
    ijk = np.stack(np.unravel_index(np.arange(np.prod(grid.shape)) if index is None else index, grid.shape), axis=-1)
    return grid.convert(ijk, Frame.IJK, Frame.LPS)


def brain_points(
    grid: Grid, to_reference: FlowChain, anatomy: FlowChain, template: Template, *, level: float = MASK_LEVEL
) -> tuple[NDArray[np.intp], Array, NDArray[np.float32]]:
    """The voxels of a grid that hold brain.

    Args:
        grid: of a scan.
        to_reference: its points to the reference anatomy.
        anatomy: reference to template points.
        level: of the interpolated brain mask.

    Returns:
        flat indices (N,), reference points (N, 3) in LPS mm, and `Template.at` (N, 4).
    """
    coarse = grid.resampled(np.maximum(_COARSE, grid.spacing))
    depth = template.at(anatomy(to_reference(lattice(coarse))), template.depth).reshape(coarse.shape)
    near = depth > _REACH
    # both grids share their axes and outer faces, so the coarse voxel of a fine one goes by axis
    parts = [np.arange(n) * m // n for n, m in zip(grid.shape, coarse.shape, strict=True)]
    index = np.flatnonzero(near[np.ix_(*parts)])
    reference = to_reference(lattice(grid, index))
    channels = template.at(anatomy(reference))
    brain = channels[:, 2] > level
    return index[brain], reference[brain], channels[brain]


def anatomy_at(patient: Patient, reference: Array, channels: NDArray[np.float32], spacing: float) -> Anatomy:
    """Tissues of (N, 3) reference points whose template values (N, 4) are known."""
    texture = patient.texture(spacing).at(reference)
    return Anatomy(tissue_fractions(channels, texture), texture, channels[:, 3])


def render(patient: Patient, grid: Grid, *, followup: bool) -> Iterator[tuple[str, NDArray[np.int16]]]:
    """The four images of one time point, one after the other.

    Args:
        patient: whose.
        grid: the scanner's grid.
        followup: the moving scan instead of the fixed one.

    Yields:
        the modality and (X, Y, Z) int16 counts: 0 outside the brain, 1 or more inside.
    """
    spacing = float(grid.spacing.max())
    scanner = patient.scanners[int(followup)]
    to_reference = (patient.reference_to_moving if followup else patient.reference_to_fixed).inverse()
    template = load_template(spacing)
    index, reference, channels = brain_points(
        grid, to_reference, patient.anatomy, template, level=MASK_LEVEL + scanner.edge
    )
    content = anatomy_at(patient, reference, channels, spacing)
    effect = patient.lesion.after if followup else patient.lesion.before
    lesions = patient.lesion.labels(
        FlowChain((effect,))(reference), content.tissues[:, 2], content.texture, spacing, followup=followup
    )
    points = lattice(grid, index)
    rng = np.random.default_rng(patient.noise_seeds[int(followup)])
    for modality, name in enumerate(MODALITIES):
        signal = mix(modality, patient.table, content.tissues, lesions, content.residual, content.texture[:, 3])
        image = np.zeros(int(np.prod(grid.shape)), dtype=np.int16)
        image[index] = scanner.acquire(modality, signal, points, rng)
        yield name, image.reshape(grid.shape)

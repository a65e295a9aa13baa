"""Landmarks as experts choose them: sharp places found in both scans, more of them near the tumour."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, maximum_filter

from wssamnet.geometry import Array
from wssamnet.landmarks import Landmarks
from wssamnet.simulation.anatomy import load_template
from wssamnet.simulation.contrast import mix
from wssamnet.simulation.flow import FlowChain
from wssamnet.simulation.patient import CHALLENGE_GRID, Patient
from wssamnet.simulation.rendering import anatomy_at, brain_points, lattice

FEWEST, MOST = 6, 50
APART = 8.0  # mm, smallest distance between two landmarks of a scan
_STEP = 2.0  # mm, grid on which corners are looked for
_DEPTH = 5.0  # mm inside the brain's surface
_CLEAR = 3.0  # mm from the border of tumour and cavity
_NEAR = 20.0  # mm, distance over which the experts' interest in the tumour fades


def cornerness(image: NDArray[np.float32], sigma: float = 1.0) -> NDArray[np.float32]:
    """det / trace of the smoothed structure tensor (Förstner): high where all three axes have edges.

    Args:
        image: (X, Y, Z).
        sigma: voxels.

    Returns:
        (X, Y, Z), not negative.
    """
    smooth = gaussian_filter(image, sigma)
    g = np.gradient(smooth)
    pairs = ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))
    xx, yy, zz, xy, xz, yz = (gaussian_filter(g[a] * g[b], 1.5 * sigma) for a, b in pairs)
    determinant = xx * (yy * zz - yz**2) - xy * (xy * zz - yz * xz) + xz * (xy * yz - yy * xz)
    trace = xx + yy + zz
    return np.asarray(np.maximum(determinant, 0) / np.maximum(trace, 1e-12) ** 2)


def _corners(patient: Patient) -> tuple[Array, Array]:
    """Local maxima of cornerness in the tumour-free anatomy: (N, 3) LPS mm and (N,) their strength."""
    grid = CHALLENGE_GRID.resampled(_STEP)
    template = load_template(_STEP)
    index, reference, channels = brain_points(grid, FlowChain(()), patient.anatomy, template)
    content = anatomy_at(patient, reference, channels, _STEP)
    none = np.zeros((len(index), 5), dtype=np.float32)
    where = np.unravel_index(index, grid.shape)
    box = tuple(slice(max(int(axis.min()) - 6, 0), int(axis.max()) + 7) for axis in where)
    strength = np.zeros(grid.shape, dtype=np.float32)
    for modality in (1, 2):  # T1-CE and T2, which experts read together
        image = np.zeros(grid.shape, dtype=np.float32)
        image[where] = mix(modality, patient.table, content.tissues, none, content.residual, content.texture[:, 3])
        strength[box] += cornerness(image[box])
    peak = (strength == maximum_filter(strength, 3)).ravel()
    inside = np.zeros(strength.size, dtype=bool)
    inside[index] = template.at(patient.anatomy(reference), template.depth) > _DEPTH
    chosen = np.flatnonzero(peak & inside & (strength.ravel() > np.quantile(strength.ravel()[index], 0.8)))
    return lattice(grid, chosen), strength.ravel()[chosen].astype(np.float64)


def pick_landmarks(patient: Patient) -> tuple[Landmarks, Landmarks]:
    """Choose a patient's landmarks, independent of the scans' voxel size.

    They lie at least `APART` mm from each other and 3 mm outside the tumour and the cavity, so
    that each exists at both times; their places in the scans follow exactly from the maps.

    Returns:
        fixed and moving landmarks, 6 to 50, LPS mm rounded to 0.1 mm (experts' are voxel centres).
    """
    rng = np.random.default_rng(patient.landmark_seed)
    reference, strength = _corners(patient)
    fixed, moving = patient.reference_to_fixed(reference), patient.reference_to_moving(reference)
    lesion = patient.lesion
    tumour, _ = lesion.distance(fixed, followup=False)
    cavity, _ = lesion.distance(FlowChain((lesion.after,))(reference), followup=True)
    usable = (tumour > _CLEAR) & (cavity > _CLEAR)
    usable &= CHALLENGE_GRID.contains(fixed, margin=-3) & CHALLENGE_GRID.contains(moving, margin=-3)
    reference, strength, fixed, moving, tumour = (part[usable] for part in (reference, strength, fixed, moving, tumour))
    weight = np.sqrt(strength) * (0.2 + np.exp(-tumour / _NEAR))
    # weighted order without replacement (Efraimidis and Spirakis), then greedily apart
    order = np.argsort(-(rng.uniform(size=len(weight)) ** (weight.max() / weight)))
    wanted = int(np.clip(np.rint(np.exp(rng.normal(np.log(16), 0.5))), FEWEST, MOST))
    kept: list[int] = []
    for candidate in order:
        if all(np.linalg.norm(fixed[candidate] - fixed[other]) >= APART for other in kept):
            kept.append(int(candidate))
        if len(kept) == wanted:
            break
    ids = tuple(range(1, len(kept) + 1))
    return Landmarks(ids, np.round(fixed[kept], 1)), Landmarks(ids, np.round(moving[kept], 1))

"""Affine pre-alignment of the moving scan, with the identity where it does not help."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import polar

from wssamnet.fields import AffineMap
from wssamnet.geometry import Array, Frame, Grid
from wssamnet.preprocessing.affine_search import Objective, about, affine_search, rigid_search
from wssamnet.preprocessing.coarse import Coarse, coarsen, towards_ras
from wssamnet.preprocessing.similarity import edge_correlation, mutual_information

_LEVELS_MM = (8.0, 3.0)
_ROTATION_DEG = 25.0
_SCALES = (0.85, 1.18)
_DISPLACEMENT_MM = 30.0
_CLOSES = 0.075  # share of 1 - lncc
_SURE = 0.5  # of the same: no wrong map of a turned head closed a third
_MI_NOISE = 0.02  # share of the mutual information
_EDGE_NOISE = 0.01  # correlation


@dataclass(frozen=True, eq=False)
class Prealignment:
    """The start of every method.

    Args:
        transform: pull-back, LPS mm, fixed points to moving points.
        chosen: "affine" or "identity".
        evidence: figures that led to the choice.
    """

    transform: AffineMap
    chosen: str
    evidence: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def none(cls) -> Prealignment:
        """The identity, not tried against anything."""
        return cls(AffineMap(), "identity")

    def to_dict(self) -> dict[str, Any]:
        """Its part of ``prepared.json``."""
        return {
            "prealignment": self.transform.matrix.tolist(),
            "prealigned_by": self.chosen,
            "prealignment_evidence": self.evidence,
        }


def _centroid(scan: Coarse) -> Array:
    """Centre of the brain, LPS mm."""
    within = scan.brain > 0.5
    index = np.stack(np.nonzero(within if within.any() else scan.brain > 0), axis=1)
    return scan.grid.convert(index.mean(axis=0), Frame.IJK, Frame.LPS)


def search(fixed: list[Coarse], moving: list[Coarse]) -> AffineMap:
    """The best affine map found, coarse to fine: rigid from two starts, then affine.

    Args:
        fixed, moving: the same levels of both scans, coarsest first.

    Returns:
        pull-back, LPS mm.
    """
    centre = _centroid(fixed[0])
    objective = Objective(fixed[0], moving[0], centre)
    starts = (np.zeros(3), _centroid(moving[0]) - centre)
    best = max((rigid_search(objective, start) for start in starts), key=lambda found: found.similarity).matrix
    best = affine_search(objective, best).matrix
    for f, m in zip(fixed[1:], moving[1:], strict=True):
        best = affine_search(Objective(f, m, centre), best).matrix
    return about(centre, best)


def plausibility(transform: AffineMap, fixed: Coarse, moving: Coarse) -> dict[str, float]:
    """Rotation (degrees), smallest and largest scale, and mean displacement in the brain (mm).

    The shift between the brains' centres is left out of the displacement: two scanners may put a
    head anywhere in the world.
    """
    rotation, stretch = polar(transform.matrix[:3, :3])
    scales = np.linalg.eigvalsh(stretch)
    angle = np.degrees(np.arccos(np.clip((np.trace(rotation) - 1) / 2, -1, 1)))
    index = np.stack(np.nonzero(fixed.brain > 0.5), axis=1)
    points = fixed.grid.convert(index, Frame.IJK, Frame.LPS)
    shift = np.linalg.norm(transform(points) - points - (_centroid(moving) - _centroid(fixed)), axis=1).mean()
    return {
        "rotation_deg": float(angle),
        "smallest_scale": float(scales[0]),
        "largest_scale": float(scales[-1]),
        "mean_displacement_mm": float(shift),
    }


def _closes(before: dict[str, float], after: dict[str, float]) -> float:
    return (after["lncc"] - before["lncc"]) / max(1 - before["lncc"], 1e-9)


def plausible(figures: dict[str, float], closes: float) -> bool:
    """Whether heads are so related: alike in size, and turned and moved little unless the images say so clearly.

    Args:
        figures: of `plausibility`.
        closes: share of the gap to a perfect match that the map closes.
    """
    alike = _SCALES[0] < figures["smallest_scale"] and figures["largest_scale"] < _SCALES[1]
    little = figures["rotation_deg"] < _ROTATION_DEG and figures["mean_displacement_mm"] < _DISPLACEMENT_MM
    return alike and (little or closes > _SURE)


def judge(transform: AffineMap, fixed: Coarse, moving: Coarse) -> dict[str, float]:
    """Similarities at one level: the optimised one (lncc) and two that were not optimised."""
    objective = Objective(fixed, moving, np.zeros(3))
    value, _ = objective(transform.matrix)
    warped = objective.moved(transform.matrix)[:, 0, 0].reshape(fixed.grid.shape)
    where = fixed.brain > 0.5
    return {
        "lncc": value,
        "mutual_information": mutual_information(fixed.channels[0][where], warped[where]),
        "edges": edge_correlation(fixed.channels[0], warped, where),
    }


def helps(before: dict[str, float], after: dict[str, float]) -> bool:
    """Whether the similarities speak for the affine map.

    The optimised one always rises; it must close a fair part of the gap to a perfect match, below
    which landmarks gained nothing on simulated pairs. Of the two that were not optimised one must
    rise and neither may fall by more than its noise.
    """
    gain = {name: after[name] - before[name] for name in before}
    closes = _closes(before, after) > _CLOSES
    held_out = (gain["mutual_information"], gain["edges"])
    noise = (_MI_NOISE * before["mutual_information"], _EDGE_NOISE)
    return closes and max(held_out) > 0 and all(g > -n for g, n in zip(held_out, noise, strict=True))


def prealign(
    fixed: NDArray[np.float32],
    fixed_mask: NDArray[np.bool_],
    fixed_grid: Grid,
    moving: NDArray[np.float32],
    moving_mask: NDArray[np.bool_],
    moving_grid: Grid,
) -> Prealignment:
    """Align the moving brain to the fixed one, or leave it where it is.

    The map maximises the local correlation at 8 and 3 mm. It is taken when it is `plausible` and `helps`.

    Args:
        fixed, moving: (C, X, Y, Z) normalised to [0, 1], 0 outside the masks.
        fixed_mask, moving_mask: (X, Y, Z) brain.
        fixed_grid, moving_grid: their grids.
    """
    scans = (towards_ras(fixed, fixed_mask, fixed_grid), towards_ras(moving, moving_mask, moving_grid))
    pyramid = [[coarsen(*scan, level) for level in _LEVELS_MM] for scan in scans]
    transform = search(*pyramid)
    figures = plausibility(transform, pyramid[0][0], pyramid[1][0])
    before = judge(AffineMap(), pyramid[0][-1], pyramid[1][-1])
    after = judge(transform, pyramid[0][-1], pyramid[1][-1])
    chosen = plausible(figures, _closes(before, after)) and helps(before, after)
    evidence = {"similarity_before": before, "similarity_after": after, **figures}
    return Prealignment(transform if chosen else AffineMap(), "affine" if chosen else "identity", evidence)

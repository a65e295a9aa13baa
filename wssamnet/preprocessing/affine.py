"""Affine pre-alignment of the moving scan, with the identity where it does not help."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wssamnet.fields import AffineMap
from wssamnet.geometry import Grid


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


def prealign(
    fixed: NDArray[np.float32],
    fixed_mask: NDArray[np.bool_],
    fixed_grid: Grid,
    moving: NDArray[np.float32],
    moving_mask: NDArray[np.bool_],
    moving_grid: Grid,
) -> Prealignment:
    """Placeholder until the optimiser lands: the identity."""
    return Prealignment.none()

"""Intensities made comparable: robust range of the brain to [0, 1], background exactly 0."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

DARKEST = 0.02  # a brain voxel is never 0, which means background everywhere downstream
_PERCENTILES = (0.1, 99.9)


@dataclass(frozen=True)
class Range:
    """The intensities that become `DARKEST` and 1."""

    low: float
    high: float

    def apply(self, image: NDArray[Any], mask: NDArray[np.bool_]) -> NDArray[np.float32]:
        """Scale and clip to [DARKEST, 1] inside the mask, 0 outside; float32, same shape."""
        width = max(self.high - self.low, 1e-20)
        scaled = np.asarray(image, dtype=np.float32) - self.low
        scaled *= (1 - DARKEST) / width
        scaled += DARKEST
        np.clip(scaled, DARKEST, 1, out=scaled)
        return np.where(mask, scaled, np.float32(0))


def brain_range(image: NDArray[Any], mask: NDArray[np.bool_]) -> Range:
    """The 0.1st and 99.9th percentile inside the brain: a few bright vessels do not set the scale."""
    low, high = np.percentile(image[mask], _PERCENTILES)
    return Range(float(low), float(high))

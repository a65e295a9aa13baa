"""Robustness: the share of landmarks that registration brought closer (equations 7 and 8)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

# Landmark files keep four decimals: below this, mm, a difference may be the rounding of a file, and
# a method that moves nothing would seem to improve.
RESOLUTION_MM = 1e-3


@dataclass(frozen=True)
class Robustness:
    """Robustness of one case.

    Args:
        share: improved / all, in [0, 1] (equation 7).
        improved: landmarks whose error became strictly smaller.
        total: all landmarks.
        zero_initial: landmarks that had no error before: they count in `total` and can never improve.
    """

    share: float
    improved: int
    total: int
    zero_initial: int


def robustness(initial: ArrayLike, final: ArrayLike) -> Robustness:
    """Compare the errors of one case before and after.

    Args:
        initial: (N,) errors before registration, mm.
        final: (N,) errors after registration, mm, same order and kind.

    Raises:
        ValueError: no landmark, or two lengths.
    """
    before, after = np.asarray(initial, dtype=np.float64), np.asarray(final, dtype=np.float64)
    if before.shape != after.shape or before.ndim != 1 or not len(before):
        raise ValueError(f"errors of shapes {before.shape} and {after.shape}: two of one length above 0 are needed")
    improved = int(np.count_nonzero(after < before - RESOLUTION_MM))
    return Robustness(
        share=improved / len(before),
        improved=improved,
        total=len(before),
        zero_initial=int(np.count_nonzero(before <= RESOLUTION_MM)),
    )

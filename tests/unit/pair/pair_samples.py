"""What the pair's tests share."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class MadePair:
    """Files of the pair; `truth` holds where the moving landmarks belong."""

    fixed: Path
    moving: Path
    landmarks: Path
    truth: np.ndarray
    points: np.ndarray

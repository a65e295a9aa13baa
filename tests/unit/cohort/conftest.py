"""A small sound cohort in the challenge's layout; each test breaks one thing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from cohort_samples import GRID, brain, points
from wssamnet.images import Volume, write_image
from wssamnet.landmarks import write_landmarks


@pytest.fixture
def make_cohort(tmp_path: Path) -> Callable[..., Path]:
    """A factory of cohort folders; days of the follow-up are arbitrary, as in the real data."""

    def make(cases: int = 2, *, root: Path | None = None, modalities: tuple[str, ...] = ("t1ce", "t2")) -> Path:
        root = root or tmp_path / "cohort"
        for number in range(1, cases + 1):
            name = f"BraTSReg_{number:03d}"
            (root / name).mkdir(parents=True)
            for side, time_point in enumerate(("00_0000", f"01_{number * 37 + 69:04d}")):
                stem = root / name / f"{name}_{time_point}"
                for channel, modality in enumerate(modalities):
                    image = brain(number * 10 + side * 2 + channel)
                    write_image(f"{stem}_{modality}.nii.gz", Volume(image, GRID))
                write_landmarks(f"{stem}_landmarks.csv", points())
        return root

    return make

"""Pictures of deformations, against fields that are known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from wssamnet.report.pictures import deformation_picture, read_strip

BRAIN = np.ones((40, 60), dtype=bool)
PLACE = np.array([2.0, 3.0, 1.0, 7.0, 12.5])  # 120 x 120 mm


def _draw(log_jacobian: float, shift: float = 0.0, brain: np.ndarray = BRAIN) -> np.ndarray:
    displacement = np.zeros((40, 60, 2))
    displacement[..., 0] = shift
    return deformation_picture(np.full((40, 60), log_jacobian), brain, displacement, PLACE, (120, 120)).astype(int)


def _columns(picture: np.ndarray) -> np.ndarray:
    """Where the upright grid lines stand: the darkest columns between two horizontal lines."""
    row = picture[4].sum(axis=1)
    return np.flatnonzero((row[1:-1] < row[:-2]) & (row[1:-1] <= row[2:]) & (row[1:-1] < row.max() - 150)) + 1


def test_no_deformation_is_a_straight_grey_grid() -> None:
    picture = _draw(0.0)
    assert picture.shape == (120, 120, 3)
    gaps = np.diff(_columns(picture))
    assert (gaps == 9).all()  # lines every 9 mm, one pixel a mm
    assert len(gaps) >= 11


def test_the_grid_moves_as_the_image_does() -> None:
    # the pull-back +3 mm along x shows at x what was at x + 3: content moves to the left
    moved, still = _columns(_draw(0.0, 3.0)), _columns(_draw(0.0))
    assert set(moved.tolist()) & set((still - 3).tolist())
    assert not set(moved.tolist()) & set(still.tolist())


def test_colours_tell_growth_shrinkage_and_folding() -> None:
    more, less, fold = (_draw(value)[4, 4] for value in (0.6, -0.6, np.nan))
    assert more[0] > more[2] + 60
    assert less[2] > less[0] + 60
    assert fold.tolist() == [255, 0, 200]


def test_outside_the_brain_is_black() -> None:
    brain = BRAIN.copy()
    brain[:, 30:] = False
    picture = _draw(0.6, brain=brain)
    assert (picture[:, 62:] == 0).all()
    assert (picture[4, 4] > 0).any()


def test_no_planes_no_pictures(tmp_path: Path) -> None:
    assert read_strip(tmp_path / "planes.npz") is None


def test_landmarks_stand_where_their_planes_are_in_the_strip(finished: Any) -> None:
    path = finished.evaluation / "ants" / "c-x" / "planes.npz"
    strip = read_strip(path)
    assert strip is not None
    left = 0.0
    seen = 0
    with np.load(path) as content:
        for name in ("axial", "coronal", "sagittal"):
            wide, high = np.array(content[f"{name}_brain"].shape[::-1]) * content[f"{name}_place"][:2]
            for row in content[f"{name}_landmarks"]:
                mark = strip.marks[seen]
                assert mark.number == int(row[0])
                assert mark.fixed == pytest.approx((left + row[1], (strip.height - high) / 2 + row[2]), abs=0.06)
                seen += 1
            left += wide + 6
    assert seen == len(strip.marks) >= 3
    assert strip.width == pytest.approx(left - 6, abs=0.1)
    assert [side.letter for side in strip.sides] == ["R", "A", "R", "S", "A", "S"]

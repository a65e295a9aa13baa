"""The planes of a case's pictures."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from wssamnet.evaluation.planes import cut_planes
from wssamnet.fields import DisplacementField
from wssamnet.geometry import Frame, Grid
from wssamnet.images import Volume

SHAPE = (20, 24, 18)


@pytest.mark.parametrize("degrees", [0, 12])
def test_a_plane_is_named_after_its_middle(degrees: float) -> None:
    """On an oblique grid a corner lies centimetres above the brain that is shown."""
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_euler("xyz", (degrees, degrees, 0), degrees=True).as_matrix() @ np.diag((3, 2, 4))
    affine[:3, 3] = (-30, 40, 7)
    grid = Grid(SHAPE, affine)
    image = Volume(np.random.default_rng(0).random(SHAPE, dtype=np.float32), grid)
    brain = Volume(np.ones(SHAPE, np.uint8), grid)
    still = DisplacementField(np.zeros((*SHAPE, 3), np.float32), grid)
    found = cut_planes(image, image, image, brain, still, np.ones(SHAPE, np.float32), None)
    for axis, name in enumerate(("sagittal", "coronal", "axial")):
        *_, index, coordinate = found[f"{name}_place"]
        middle = (np.array(grid.canonical().shape) - 1) / 2
        middle[axis] = index
        assert coordinate == pytest.approx(grid.canonical().convert(middle[None], Frame.IJK, Frame.LPS)[0, axis])

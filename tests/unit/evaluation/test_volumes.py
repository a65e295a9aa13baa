"""The small volumes of a case, on grids of every kind."""

from __future__ import annotations

import numpy as np
import pytest
from wssamnet.evaluation.volumes import FOLDED, NO_CHANGE, PER_DOUBLING, cut_volumes
from wssamnet.fields import DisplacementField
from wssamnet.geometry import Frame, Grid
from wssamnet.images import Volume


def _centre_of_mass(image: np.ndarray) -> np.ndarray:
    """x, y, z of a (Z, Y, X) image's content, in voxels."""
    places = np.argwhere(image > 60)
    return places.mean(axis=0)[::-1]


def _ball(grid: Grid, centre: np.ndarray, radius: float) -> np.ndarray:
    voxels = np.indices(grid.shape).reshape(3, -1).T
    world = grid.convert(voxels, Frame.IJK, Frame.LPS)
    return (np.linalg.norm(world - centre, axis=1) < radius).reshape(grid.shape)


def test_the_display_is_radiologys_on_any_grid(odd_grid: Grid) -> None:
    middle = odd_grid.convert((np.array(odd_grid.shape) - 1) / 2, Frame.IJK, Frame.LPS)
    off = middle + np.array([14, 10, 8])  # towards left, posterior, superior
    brain = _ball(odd_grid, middle, 40)
    spot = Volume(_ball(odd_grid, off, 9).astype(np.float32), odd_grid)
    field = np.broadcast_to(np.float32([6, 0, -12]), (*odd_grid.shape, 3)).copy()
    det = np.full(odd_grid.shape, 2.0, dtype=np.float32)
    out = cut_volumes(spot, spot, spot, Volume(brain, odd_grid), DisplacementField(field, odd_grid), det)
    place = out["to_display"] @ [*off, 1]
    spacing = out["spacing"]
    # a landmark there is where the spot is seen
    np.testing.assert_allclose((_centre_of_mass(out["fixed"]) + 0.5) * spacing[0], place[:3], atol=1.5)
    np.testing.assert_array_equal(out["fixed"], out["warped"])
    # display axes are the voxel axes nearest to left, posterior, inferior, and lengths are kept
    turned = out["to_display"][:3, :3]
    assert np.argmax(np.abs(turned), axis=1).tolist() == [0, 1, 2]
    assert (np.sign(np.diag(turned)) == [1, 1, -1]).all()
    np.testing.assert_allclose(turned @ turned.T, np.eye(3), atol=1e-6)
    moved = out["displacement"][:, 1, 1, 1] * out["scale"]
    np.testing.assert_allclose(moved, turned @ [6, 0, -12], atol=0.16)
    codes = out["log_jacobian"]
    assert set(np.unique(codes)) == {0, NO_CHANGE + PER_DOUBLING}
    # all three cover the same box
    for index, shape in enumerate((out["fixed"].shape, codes.shape, out["displacement"].shape[1:])):
        np.testing.assert_allclose(
            np.array(shape[::-1]) * spacing[index], np.array(out["fixed"].shape[::-1]) * spacing[0]
        )


def test_one_folded_voxel_marks_its_cell() -> None:
    grid = Grid((40, 40, 40), np.diag([1.5, 1.5, 1.5, 1.0]))
    brain = np.zeros(grid.shape, dtype=bool)
    brain[8:32, 8:32, 8:32] = True
    det = np.ones(grid.shape, dtype=np.float32)
    det[20, 21, 22] = -0.5
    det[10, 10, 10] = 100
    image = Volume(np.ones(grid.shape, dtype=np.float32), grid)
    field = DisplacementField(np.zeros((*grid.shape, 3), dtype=np.float32), grid)
    out = cut_volumes(image, image, image, Volume(brain, grid), field, det)
    codes = out["log_jacobian"]
    assert (codes == FOLDED).sum() == 1
    z, y, x = np.argwhere(codes == FOLDED)[0]
    world = grid.convert(np.array([20, 21, 22]), Frame.IJK, Frame.LPS)
    place = (out["to_display"] @ [*world, 1])[:3]
    assert np.floor(place / out["spacing"][1]).tolist() == [x, y, z]
    assert codes[codes != FOLDED].max() <= NO_CHANGE + 2 * PER_DOUBLING


def test_a_head_of_full_size_becomes_small() -> None:
    grid = Grid((240, 240, 155), np.diag([-1.0, -1.0, 1.0, 1.0]))
    brain = np.zeros(grid.shape, dtype=bool)
    brain[50:190, 35:205, 10:140] = True
    data = np.random.default_rng(0).integers(0, 900, grid.shape, dtype=np.int16)
    image = Volume(data, grid)
    field = DisplacementField(np.zeros((*grid.shape, 3), dtype=np.float32), grid)
    det = np.ones(grid.shape, dtype=np.float32)
    out = cut_volumes(image, image, image, Volume(brain, grid), field, det)
    assert out["fixed"].size == pytest.approx(540_000, rel=0.05)
    # noise of single voxels does not come through
    assert out["fixed"][30:40, 30:40, 30:40].std() < 0.6 * 255 / np.sqrt(12)
    assert out["log_jacobian"].size < 45_000
    assert out["displacement"].size < 40_000

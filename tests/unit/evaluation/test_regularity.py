"""Folding and SD of log J of fields whose determinant is known."""

from __future__ import annotations

import numpy as np
import pytest
from wssamnet.errors import GeometryError
from wssamnet.evaluation.regularity import determinant_around, regularity
from wssamnet.fields import DisplacementField, as_displacement, jacobian_determinant
from wssamnet.geometry import Grid, transform_points

GRID = Grid((30, 12, 10), np.diag([2.0, 3.0, 4.0, 1.0]))


def test_half_the_voxels_fold() -> None:
    determinant = np.full((4, 4, 4), 2.0, dtype=np.float32)
    determinant[:2] = -1
    determinant[2, 0, 0] = 0
    mask = np.ones((4, 4, 4), dtype=bool)
    found = regularity(determinant, mask)
    assert found.folding == pytest.approx(33 / 64)
    assert found.sd_log_jacobian == pytest.approx(0, abs=1e-7)
    assert (found.smallest, found.largest, found.voxels) == (-1, 2, 64)


def test_sd_of_the_logarithm_is_taken_inside_the_mask() -> None:
    determinant = np.full((4, 4, 4), 1.0, dtype=np.float32)
    determinant[0] = np.e
    determinant[3] = -5
    mask = np.zeros((4, 4, 4), dtype=bool)
    mask[:2] = True
    found = regularity(determinant, mask)
    assert found.folding == 0
    assert found.sd_log_jacobian == pytest.approx(0.5, abs=1e-6)


def test_everything_folded_has_no_logarithm() -> None:
    found = regularity(np.full((2, 2, 2), -1.0), np.ones((2, 2, 2), dtype=bool))
    assert (found.folding, found.sd_log_jacobian) == (1, None)


def test_scaling_has_the_determinant_of_its_matrix() -> None:
    matrix = np.diag([1.1, 0.9, 1.2, 1.0])
    field = as_displacement(lambda points: transform_points(matrix, points), GRID)
    mask = np.ones(GRID.shape, dtype=bool)
    np.testing.assert_allclose(determinant_around(field, mask), 1.1 * 0.9 * 1.2, rtol=1e-4)


def test_the_box_gives_what_the_whole_field_gives() -> None:
    rng = np.random.default_rng(0)
    field = DisplacementField(rng.normal(size=(*GRID.shape, 3)).astype(np.float32), GRID)
    mask = np.zeros(GRID.shape, dtype=bool)
    mask[2:29, 0:7, 3:10] = True
    found = determinant_around(field, mask)
    np.testing.assert_allclose(found[mask], jacobian_determinant(field)[mask], rtol=1e-5, atol=1e-5)
    assert (found[~mask] == 1).all()


def test_unusable_input_is_refused() -> None:
    field = DisplacementField(np.zeros((*GRID.shape, 3), dtype=np.float32), GRID)
    with pytest.raises(GeometryError, match="mask is empty"):
        determinant_around(field, np.zeros(GRID.shape, dtype=bool))
    with pytest.raises(GeometryError, match="does not fit a field"):
        determinant_around(field, np.zeros((2, 2, 2), dtype=bool))
    with pytest.raises(GeometryError, match="not finite in 1 voxels"):
        regularity(np.array([[[np.nan, 1.0]]]), np.ones((1, 1, 2), dtype=bool))

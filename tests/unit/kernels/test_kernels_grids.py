"""Fields and images at every voxel of a grid: against the same point by point, and inverses against their equation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter
from scipy.spatial.transform import Rotation
from wssamnet.fields import (
    AffineMap,
    Chain,
    DisplacementField,
    InverseField,
    Transform,
    as_displacement,
    inverse,
    resample,
)
from wssamnet.geometry import Array, Frame, Grid
from wssamnet.images import Volume


def _grid(seed: int, shape: tuple[int, int, int]) -> Grid:
    """Voxels of 1 to 3 mm, turned and mirrored, about the origin."""
    rng = np.random.default_rng(seed)
    affine = np.eye(4)
    affine[:3, :3] = Rotation.random(random_state=seed).as_matrix() @ np.diag(rng.uniform(1, 3, 3) * [1, -1, 1])
    affine[:3, 3] = -affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    return Grid(shape, affine)


def _field(seed: int, grid: Grid, largest_mm: float, outside: str = "border") -> DisplacementField:
    rng = np.random.default_rng(seed)
    u = np.stack([gaussian_filter(rng.normal(size=grid.shape), 3) for _ in range(3)], axis=-1)
    return DisplacementField((largest_mm * u / np.abs(u).max()).astype(np.float32), grid, outside=outside)


def _affine(seed: int) -> AffineMap:
    rng = np.random.default_rng(seed)
    matrix = np.eye(4)
    matrix[:3] += rng.uniform(-0.1, 0.1, (3, 4)) * [1, 1, 1, 30]
    return AffineMap(matrix)


def _points(grid: Grid) -> Array:
    ijk = np.stack(np.meshgrid(*[np.arange(n) for n in grid.shape], indexing="ij"), axis=-1)
    return grid.convert(ijk.reshape(-1, 3), Frame.IJK, Frame.LPS)


sizes = st.tuples(*[st.integers(1, 12)] * 3)
outsides = st.sampled_from(["border", "zero"])


@given(seed=st.integers(0, 1000), of_field=sizes, of_grid=sizes, outside=outsides, order=st.permutations("afa"))
@settings(max_examples=40, deadline=None)
def test_a_field_among_affine_maps_is_what_it_is_point_by_point(
    seed: int, of_field: tuple[int, int, int], of_grid: tuple[int, int, int], outside: str, order: list[str]
) -> None:
    field = _field(seed, _grid(seed, of_field), 6, outside)
    parts: list[Transform] = [field if kind == "f" else _affine(seed + n) for n, kind in enumerate(order)]
    chain, grid = Chain((Chain(tuple(parts[:2])), parts[2])), _grid(seed + 1, of_grid)
    found, points = as_displacement(chain, grid).displacement, _points(grid)
    differs = np.abs(found.reshape(-1, 3) - (chain(points) - points)).max(axis=1)
    assert np.quantile(differs, 0.99) < 1e-4  # beside a border of "zero" rounding may go either way
    assert outside == "zero" or differs.max() < 1e-4


@given(seed=st.integers(0, 1000), of_field=sizes, of_grid=sizes, outside=outsides)
@settings(max_examples=40, deadline=None)
def test_an_image_brought_by_a_field_of_the_grid_is_what_it_is_point_by_point(
    seed: int, of_field: tuple[int, int, int], of_grid: tuple[int, int, int], outside: str
) -> None:
    field = _field(seed, _grid(seed, of_field), 6, outside)
    image = Volume(np.random.default_rng(seed).random(of_field, dtype=np.float32), field.grid)
    grid = _grid(seed + 1, of_grid)
    known = as_displacement(field, grid)
    found = resample(image, grid, known).data
    expected = resample(image, grid, Chain((known,))).data
    assert np.count_nonzero(np.abs(found - expected) > 1e-4) <= 0.01 * found.size
    assert found.dtype == np.float32


@given(seed=st.integers(0, 1000), outside=outsides, share=st.floats(0, 0.9), tolerance=st.sampled_from([1e-3, 1e-2]))
@settings(max_examples=30, deadline=None)
def test_the_inverse_on_a_grid_undoes_the_field(seed: int, outside: str, share: float, tolerance: float) -> None:
    """Up to where space nearly folds, on a grid that reaches beyond the field's, among affine maps."""
    grid = _grid(seed, (15, 13, 14))
    field = _field(seed, grid, 1.0)
    slopes = np.max([np.abs(np.gradient(field.displacement[..., c])).sum(0).max() for c in range(3)])
    u = field.displacement * np.float32(share * grid.spacing.min() / slopes)
    field = DisplacementField(u, grid, outside=outside)
    before, after = _affine(seed), _affine(seed + 1)
    target = _grid(seed + 2, (17, 40, 21))
    solver = InverseField(field, tolerance=tolerance)
    found = as_displacement(Chain((before, solver, after)), target).displacement.reshape(-1, 3)
    points = _points(target)
    solved = after.inverse()(points + found)
    residual = np.linalg.norm(field(solved) - before(points), axis=1)
    has_one = solver.solve(before(points))[1] < tolerance
    if outside == "zero":  # a field that ends at its border has a jump there: no solution, or several
        assert (residual[has_one] < tolerance + 1e-4).mean() > 0.99
        return
    assert has_one.all()
    assert residual.max() < tolerance + 1e-4
    exact = Chain((before, solver, after))(points)
    assert np.linalg.norm(points + found - exact, axis=1).max() < 3 * tolerance / (1 - share)


@pytest.mark.parametrize("stretch", [-0.9, -0.5, 1.0, 2.9])
def test_the_inverse_on_a_grid_where_space_is_squeezed_or_stretched(stretch: float) -> None:
    grid = Grid((41, 9, 9), np.diag([1.0, 2, 2, 1]))
    linear = np.eye(4)
    linear[0, 0] = 1 + stretch
    field = as_displacement(AffineMap(linear), grid)
    onto = Grid(grid.shape, np.diag([1 + stretch, 1, 1, 1]) @ grid.affine)  # where the field maps its own grid
    found = inverse(field, onto, tolerance=1e-4)
    points = _points(found.grid)
    exact = points / [1 + stretch, 1, 1] - points
    np.testing.assert_allclose(found.displacement.reshape(-1, 3), exact, atol=2e-3)


def test_the_inverse_on_a_grid_is_the_same_for_any_number_of_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    grid = _grid(3, (23, 21, 22))
    field, target = _field(3, grid, 4), _grid(4, (60, 50, 70))
    found = []
    for threads in (1, 3):
        monkeypatch.setattr("wssamnet.kernels.threads.thread_count", lambda threads=threads: threads)
        found.append(inverse(field, target).displacement)
    np.testing.assert_array_equal(*found)
    gap = np.linalg.norm(field(_points(target) + found[0].reshape(-1, 3)) - _points(target), axis=1)
    assert gap.max() < 1e-2

"""Point transforms and resampling: SimpleITK, ANTs and nitransforms as oracles on every odd grid."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter
from scipy.spatial.transform import Rotation
from wssamnet.errors import GeometryError
from wssamnet.fields import (
    AffineMap,
    Chain,
    DisplacementField,
    InverseField,
    as_displacement,
    identity,
    inverse,
    jacobian_determinant,
    resample,
)
from wssamnet.geometry import Array, Frame, Grid
from wssamnet.images import Volume, write_displacement, write_image


def _smooth(grid: Grid, largest_mm: float, seed: int = 0, sigma: float = 5) -> DisplacementField:
    rng = np.random.default_rng(seed)
    u = np.stack([gaussian_filter(rng.normal(size=grid.shape), sigma) for _ in range(3)], axis=-1)
    return DisplacementField((largest_mm * u / np.abs(u).max()).astype(np.float32), grid)


def _inside(grid: Grid, count: int = 60, low: float = 0.2, high: float = 0.8, seed: int = 1) -> Array:
    ijk = np.random.default_rng(seed).uniform(low, high, (count, 3)) * (np.array(grid.shape) - 1)
    return grid.convert(ijk, Frame.IJK, Frame.LPS)


def _affine(grid: Grid) -> AffineMap:
    """A rotation with stretch and shear about the grid's centre, and a shift."""
    linear = Rotation.from_euler("xyz", [8, -5, 12], degrees=True).as_matrix() @ np.diag([1.1, 0.95, 1.02])
    linear[0, 1] += 0.05
    centre = grid.convert((np.array(grid.shape) - 1) / 2, Frame.IJK, Frame.LPS)
    matrix = np.eye(4)
    matrix[:3, :3] = linear
    matrix[:3, 3] = centre - linear @ centre + (3, -4, 2)
    return AffineMap(matrix)


def _itk_image(data: Any, grid: Grid, *, vector: bool = False) -> Any:
    axes = (2, 1, 0, 3) if vector else (2, 1, 0)
    image = sitk.GetImageFromArray(np.ascontiguousarray(np.transpose(data, axes)), isVector=vector)
    image.SetOrigin(grid.origin.tolist())
    image.SetSpacing(grid.spacing.tolist())
    image.SetDirection(grid.direction.ravel().tolist())
    return image


def _itk_field(field: DisplacementField) -> Any:
    return sitk.DisplacementFieldTransform(_itk_image(field.displacement.astype(np.float64), field.grid, vector=True))


def _itk_affine(affine: AffineMap) -> Any:
    transform = sitk.AffineTransform(3)
    transform.SetMatrix(affine.matrix[:3, :3].ravel().tolist())
    transform.SetTranslation(affine.matrix[:3, 3].tolist())
    return transform


def _through(transform: Any, points: Array) -> Array:
    return np.array([transform.TransformPoint(p.tolist()) for p in points])


def _moving_grid() -> Grid:
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_euler("xyz", [-15, 25, 70], degrees=True).as_matrix() @ np.diag([3, -4.5, 5])
    affine[:3, 3] = (9, 9, 9)
    return Grid((38, 33, 29), affine)


MOVING = _moving_grid()


def _bring(fixed: Grid, moving: Grid) -> AffineMap:
    """Points of fixed to points of moving: centre onto centre, with a little rotation."""
    linear = Rotation.from_euler("xyz", [5, 10, -7], degrees=True).as_matrix()
    ends = [grid.convert((np.array(grid.shape) - 1) / 2, Frame.IJK, Frame.LPS) for grid in (fixed, moving)]
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = linear, ends[1] - linear @ ends[0]
    return AffineMap(matrix)


def test_points_agree_with_itk(odd_grid: Grid) -> None:
    affine, field = _affine(odd_grid), _smooth(odd_grid, 6)
    field = DisplacementField(field.displacement, odd_grid, outside="zero")
    points = _inside(odd_grid, low=-0.2, high=1.2)
    np.testing.assert_allclose(affine(points), _through(_itk_affine(affine), points), atol=1e-9)
    np.testing.assert_allclose(field(points), _through(_itk_field(field), points), atol=1e-4)
    # ITK applies the transform that was added last first
    chain = sitk.CompositeTransform([_itk_affine(affine), _itk_field(field)])
    np.testing.assert_allclose(Chain((field, affine))(points), _through(chain, points), atol=1e-4)
    assert np.abs(Chain((field, affine))(points) - Chain((affine, field))(points)).max() > 0.5


def test_resampling_agrees_with_itk(odd_grid: Grid) -> None:
    rng = np.random.default_rng(3)
    image = Volume(rng.normal(size=MOVING.shape).astype(np.float32), MOVING)
    labels = Volume(rng.integers(0, 5, MOVING.shape).astype(np.int16), MOVING)
    field, affine = _smooth(odd_grid, 6), _bring(odd_grid, MOVING)
    chain = sitk.CompositeTransform([_itk_affine(affine), _itk_field(field)])
    reference = _itk_image(np.zeros(odd_grid.shape, np.float32), odd_grid)
    for volume, order, method in ((image, 1, sitk.sitkLinear), (labels, 0, sitk.sitkNearestNeighbor)):
        ours = resample(volume, odd_grid, Chain((field, affine)), order=order)
        theirs = sitk.Resample(_itk_image(volume.data, MOVING), reference, chain, method, 0.0)
        expected = sitk.GetArrayFromImage(theirs).T
        assert ours.data.dtype == volume.data.dtype
        assert np.count_nonzero(expected) > 0.3 * expected.size
        # a sample that falls on a voxel's face may go either way by rounding
        differs = np.abs(ours.data.astype(float) - expected) > 1e-2
        assert differs.mean() < (2e-5 if order == 1 else 2e-4)


def test_resampling_onto_its_own_grid_is_exact(odd_grid: Grid) -> None:
    data = np.random.default_rng(0).integers(0, 99, odd_grid.shape).astype(np.int16)
    for order in (0, 1):
        np.testing.assert_allclose(resample(Volume(data, odd_grid), odd_grid, order=order).data, data, atol=1e-3)


def test_an_integer_image_is_interpolated_not_rounded() -> None:
    grid = Grid((2, 1, 1), np.eye(4))
    shift = np.eye(4)
    shift[0, 3] = -0.25  # LPS: a quarter voxel along +i
    image = Volume(np.array([0, 10], np.int16).reshape(2, 1, 1), grid)
    np.testing.assert_allclose(resample(image, grid, AffineMap(shift)).data.ravel(), [2.5, 10])


def test_a_file_means_the_same_to_itk_ants_and_nitransforms(odd_grid: Grid, tmp_path: Path) -> None:
    import ants
    import pandas as pd
    from nitransforms.nonlinear import DenseFieldTransform

    field = _smooth(odd_grid, 6)
    points = _inside(odd_grid)
    path = tmp_path / "u.nii.gz"
    write_displacement(path, field.displacement, odd_grid)
    expected = field(points)
    assert np.linalg.norm(expected - points, axis=1).max() > 1

    itk = sitk.DisplacementFieldTransform(sitk.ReadImage(str(path), sitk.sitkVectorFloat64))
    np.testing.assert_allclose(_through(itk, points), expected, atol=1e-3)

    table = pd.DataFrame(points, columns=["x", "y", "z"])
    through_ants = ants.apply_transforms_to_points(3, table, [str(path)], whichtoinvert=[False])
    np.testing.assert_allclose(through_ants[["x", "y", "z"]], expected, atol=1e-3)

    ras = np.array([-1.0, -1, 1])
    nearest = odd_grid.convert(np.rint(odd_grid.convert(points, Frame.LPS, Frame.IJK)), Frame.IJK, Frame.LPS)
    theirs = DenseFieldTransform.from_filename(str(path), fmt="itk").map(nearest * ras)
    np.testing.assert_allclose(theirs * ras, field(nearest), atol=1e-3)


def test_ants_resamples_with_our_file_as_we_do(odd_grid: Grid, tmp_path: Path) -> None:
    import ants

    field = _smooth(odd_grid, 6)
    image = Volume(np.random.default_rng(0).normal(size=odd_grid.shape).astype(np.float32), odd_grid)
    write_displacement(tmp_path / "u.nii.gz", field.displacement, odd_grid)
    write_image(tmp_path / "m.nii.gz", image)
    read = ants.image_read(str(tmp_path / "m.nii.gz"))
    theirs = ants.apply_transforms(read, read, [str(tmp_path / "u.nii.gz")], interpolator="linear").numpy()
    ours = resample(image, odd_grid, field).data
    inner = (slice(3, -3),) * 3
    np.testing.assert_allclose(ours[inner], theirs[inner], atol=5e-3)


def test_sampled_on_a_grid(odd_grid: Grid) -> None:
    affine = _affine(odd_grid)
    sampled = as_displacement(affine, odd_grid)
    points = _inside(odd_grid)
    np.testing.assert_allclose(sampled(points), affine(points), atol=1e-3)  # linear maps interpolate exactly
    assert sampled.displacement.dtype == np.float32
    np.testing.assert_array_equal(as_displacement(identity(), odd_grid).displacement, 0)


def test_slabs_cover_a_grid_larger_than_one(monkeypatch: pytest.MonkeyPatch) -> None:
    grid = Grid((7, 5, 3), np.diag([2.0, 3, 4, 1]))
    whole = as_displacement(_affine(grid), grid).displacement
    monkeypatch.setattr("wssamnet.fields._SLAB", 31)
    np.testing.assert_array_equal(as_displacement(_affine(grid), grid).displacement, whole)


def test_both_ways_return(odd_grid: Grid) -> None:
    field, affine = _smooth(odd_grid, 7), _affine(odd_grid)
    points = _inside(odd_grid)
    there = Chain((field, affine))(points)
    back = Chain((affine.inverse(), InverseField(field)))(there)
    np.testing.assert_allclose(back, points, atol=5e-3)


@given(stretch=st.floats(-0.9, 2.9), at=st.floats(-20, 20))
@settings(max_examples=40, deadline=None)
def test_an_inverse_where_space_is_squeezed_or_stretched(stretch: float, at: float) -> None:
    grid = Grid((21, 5, 5), np.diag([2.0, 2, 2, 1]))
    linear = np.eye(4)
    linear[0, 0] = 1 + stretch
    field = as_displacement(AffineMap(linear), grid)
    y = np.array([[min(max(at, -40.0), 0.0) * (1 + stretch), -4.0, 4.0]])
    exact = y / [1 + stretch, 1, 1]
    compiled, residual = InverseField(field, iterations=200).solve(y)
    assert residual.max() < 1e-3
    np.testing.assert_allclose(compiled, exact, atol=2e-3 / min(1, 1 + stretch))


def test_where_there_is_no_inverse_it_says_so() -> None:
    grid = Grid((20, 4, 4), np.eye(4))
    folded = as_displacement(AffineMap(np.diag([-0.5, 1, 1, 1])), grid)
    y = np.array([[-5.0, -1, 1], [0, -1, 1]])
    _, residual = InverseField(folded).solve(y)
    assert (residual < 1e-3).tolist() == [False, True]


def test_an_inverse_field_agrees_with_itk(odd_grid: Grid) -> None:
    field = _smooth(odd_grid, 5, sigma=6)
    ours = inverse(field, odd_grid)
    points = _inside(odd_grid, low=0.3, high=0.7)
    np.testing.assert_allclose(field(ours(points)), points, atol=0.05)
    theirs = sitk.DisplacementFieldTransform(
        sitk.InvertDisplacementField(
            _itk_image(field.displacement.astype(np.float64), odd_grid, vector=True),
            maximumNumberOfIterations=50,
            maxErrorToleranceThreshold=1e-3,
            meanErrorToleranceThreshold=1e-4,
        )
    )
    np.testing.assert_allclose(ours(points), _through(theirs, points), atol=0.05)


@pytest.mark.parametrize(("outside", "moved"), [("border", 2.0), ("zero", 0.0)])
def test_beyond_the_grid(outside: str, moved: float) -> None:
    field = DisplacementField(np.full((3, 3, 3, 3), 2, np.float32), Grid((3, 3, 3), np.eye(4)), outside=outside)
    far = np.array([[100.0, 0, 0]])
    np.testing.assert_allclose(field(far) - far, moved)


def test_jacobian_of_an_affine_is_its_determinant(odd_grid: Grid) -> None:
    affine = _affine(odd_grid)
    det = jacobian_determinant(as_displacement(affine, odd_grid))
    assert det.shape == odd_grid.shape
    assert det.dtype == np.float32
    np.testing.assert_allclose(det, np.linalg.det(affine.matrix[:3, :3]), atol=1e-4)
    mirrored = AffineMap(np.diag([-1.0, 1, 1, 1]))
    np.testing.assert_allclose(jacobian_determinant(as_displacement(mirrored, odd_grid)), -1, atol=1e-4)


def test_jacobian_agrees_with_itk() -> None:
    # ITK's filter takes the axes for the world's, so only an identity direction can be compared
    grid = Grid((20, 21, 22), np.diag([-2.0, -3, 4, 1]))
    np.testing.assert_array_equal(grid.direction, np.eye(3))
    field = _smooth(grid, 12, sigma=3)
    theirs = sitk.DisplacementFieldJacobianDeterminant(
        _itk_image(field.displacement.astype(np.float64), grid, vector=True)
    )
    expected = sitk.GetArrayFromImage(theirs).T
    inner = (slice(1, -1),) * 3  # at the edge ITK halves the one-sided difference
    assert expected.min() < 0.6
    np.testing.assert_allclose(jacobian_determinant(field)[inner], expected[inner], atol=1e-4)


def test_jacobian_of_a_flat_grid() -> None:
    grid = Grid((5, 6, 1), np.eye(4))
    affine = AffineMap(np.diag([2.0, 1, 1, 1]))
    np.testing.assert_allclose(jacobian_determinant(as_displacement(affine, grid)), 2, atol=1e-5)


def test_a_field_fits_its_grid() -> None:
    with pytest.raises(GeometryError, match=r"a field of shape \(2, 2, 2, 3\) does not fit a grid of \(2, 2, 3\)"):
        DisplacementField(np.zeros((2, 2, 2, 3), np.float32), Grid((2, 2, 3), np.eye(4)))


@pytest.mark.parametrize(
    "transform",
    [
        identity(),
        _smooth(MOVING, 3),
        InverseField(_smooth(MOVING, 3)),
        Chain((identity(), _smooth(MOVING, 3))),
        Chain(()),
    ],
    ids=["affine", "field", "inverse", "chain", "empty chain"],
)
def test_no_points_are_no_points(transform: Callable[[Any], Array]) -> None:
    assert transform(np.zeros((0, 3))).shape == (0, 3)

"""Frames and grids: the challenge's known values, ITK as the oracle, round trips on random grids."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation
from wssamnet.errors import GeometryError
from wssamnet.geometry import Array, Frame, Grid, swap_ras_lps, transform_points

CHALLENGE = Grid((240, 240, 155), np.array([[-1.0, 0, 0, 0], [0, -1, 0, 239], [0, 0, 1, 0], [0, 0, 0, 1]]))


def _corners(grid: Grid) -> Array:
    ijk = np.array(np.meshgrid(*[(0, n - 1) for n in grid.shape])).reshape(3, -1).T
    return grid.convert(ijk, Frame.IJK, Frame.LPS)


def _rows(points: Array) -> set[tuple[float, ...]]:
    return {tuple(row) for row in np.round(points, 4) + 0.0}


@st.composite
def grids(draw: st.DrawFn) -> Grid:
    """Any shape, spacing, rotation, flips and origin; no shear."""
    shape = draw(st.tuples(*[st.integers(1, 9)] * 3))
    spacing = [draw(st.floats(0.3, 7)) * draw(st.sampled_from((-1.0, 1.0))) for _ in range(3)]
    rotation = Rotation.from_euler("xyz", [draw(st.floats(-180, 180)) for _ in range(3)], degrees=True).as_matrix()
    affine = np.eye(4)
    affine[:3, :3] = rotation @ np.diag(spacing)
    affine[:3, 3] = [draw(st.floats(-200, 200)) for _ in range(3)]
    return Grid(shape, affine)


def _itk(grid: Grid) -> Any:
    image = sitk.Image([int(n) for n in grid.shape], sitk.sitkUInt8)
    image.SetSpacing(grid.spacing.tolist())
    image.SetOrigin(grid.origin.tolist())
    image.SetDirection(grid.direction.ravel().tolist())
    return image


def test_the_challenges_header() -> None:
    np.testing.assert_allclose(CHALLENGE.origin, (0, -239, 0))
    np.testing.assert_allclose(CHALLENGE.direction, np.eye(3))
    np.testing.assert_allclose(CHALLENGE.spacing, (1, 1, 1))
    # its landmark files: X = i, Y = j - 239, Z = k
    np.testing.assert_allclose(CHALLENGE.convert((155, 171, 93), Frame.IJK, Frame.LPS), (155, -68, 93))
    np.testing.assert_allclose(CHALLENGE.convert((155, 171, 93), Frame.IJK, Frame.RAS), (-155, 68, 93))


def test_agrees_with_itk(odd_grid: Grid) -> None:
    image = _itk(odd_grid)
    ijk = np.random.default_rng(0).uniform(0, 30, (20, 3))
    expected = [image.TransformContinuousIndexToPhysicalPoint(p.tolist()) for p in ijk]
    np.testing.assert_allclose(odd_grid.convert(ijk, Frame.IJK, Frame.LPS), expected, atol=1e-9)
    again = Grid.from_itk(image.GetSize(), image.GetSpacing(), image.GetOrigin(), image.GetDirection())
    assert again.matches(odd_grid, tolerance=1e-9)


@given(grid=grids(), frames=st.tuples(st.sampled_from(Frame), st.sampled_from(Frame)), seed=st.integers(0, 99))
def test_points_and_vectors_return(grid: Grid, frames: tuple[Frame, Frame], seed: int) -> None:
    source, target = frames
    points = np.random.default_rng(seed).normal(scale=5, size=(4, 3))
    there = grid.convert(points, source, target)
    np.testing.assert_allclose(grid.convert(there, target, source), points, atol=1e-6)
    moved = grid.convert(points[1:], source, target) - there[:1]
    np.testing.assert_allclose(grid.vectors(points[1:] - points[:1], source, target), moved, atol=1e-6)


@given(grid=grids())
def test_cube_is_align_corners(grid: Grid) -> None:
    last = np.array(grid.shape) - 1
    np.testing.assert_allclose(
        grid.convert([np.zeros(3), last], Frame.IJK, Frame.CUBE),
        [np.where(last > 0, -1, 0), np.where(last > 0, 1, 0)],
        atol=1e-7,
    )


@given(grid=grids())
@settings(max_examples=60)
def test_canonical_keeps_the_voxels_and_points_to_ras(grid: Grid) -> None:
    canonical = grid.canonical()
    assert _rows(_corners(canonical)) == _rows(_corners(grid))
    assert sorted(canonical.shape) == sorted(grid.shape)
    cosines = canonical.affine[:3, :3] / canonical.spacing
    # every column is one of the old ones up to its sign, and the greedy order leaves a positive diagonal
    assert (np.diag(cosines) >= -1e-12).all()
    assert canonical.canonical().matches(canonical, tolerance=1e-6)


def test_canonical_of_the_challenge_is_plain_ras() -> None:
    canonical = CHALLENGE.canonical()
    np.testing.assert_allclose(canonical.affine, [[1, 0, 0, -239], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])


@given(grid=grids(), spacing=st.floats(0.5, 5))
def test_resampled_keeps_the_centre_and_about_the_extent(grid: Grid, spacing: float) -> None:
    new = grid.resampled(spacing)
    np.testing.assert_allclose(new.spacing, spacing)
    np.testing.assert_allclose(_corners(new).mean(axis=0), _corners(grid).mean(axis=0), atol=1e-6)
    extent = np.array(grid.shape) * grid.spacing
    assert (np.abs(np.array(new.shape) * spacing - extent) <= np.maximum(spacing / 2, spacing - extent) + 1e-4).all()


def test_resampled_by_two_halves_the_voxels_within_the_same_faces() -> None:
    new = Grid((10, 8, 6), np.diag([1.0, 1, 1, 1])).resampled(2)
    assert new.shape == (5, 4, 3)
    np.testing.assert_allclose(new.origin, (-0.5, -0.5, 0.5))


@given(grid=grids(), start=st.tuples(*[st.integers(-4, 4)] * 3), shape=st.tuples(*[st.integers(1, 6)] * 3))
def test_crop_and_pad(grid: Grid, start: tuple[int, int, int], shape: tuple[int, int, int]) -> None:
    part = grid.crop(start, shape)
    assert part.shape == shape
    ijk = np.array([1.5, 0.25, 2])
    np.testing.assert_allclose(
        part.convert(ijk, Frame.IJK, Frame.LPS), grid.convert(ijk + start, Frame.IJK, Frame.LPS), atol=1e-7
    )
    assert part.crop(-np.array(start), grid.shape).matches(grid)


@given(grid=grids())
def test_a_description_builds_it_again(grid: Grid) -> None:
    assert Grid(**grid.to_dict()).matches(grid, tolerance=1e-12)


def test_contains_counts_whole_voxels(odd_grid: Grid) -> None:
    n = np.array(odd_grid.shape)
    ijk = np.array([[0, 0, 0], n - 1, [-0.49, 0, 0], n - 0.51, [-0.51, 0, 0], n - 0.49])
    inside = odd_grid.contains(odd_grid.convert(ijk, Frame.IJK, Frame.LPS))
    assert inside.tolist() == [True, True, True, True, False, False]


def test_grids_match_within_a_thousandth_of_a_millimetre() -> None:
    grid = Grid((5, 6, 7), np.eye(4))
    near, far = np.eye(4), np.eye(4)
    near[0, 3], far[0, 3] = 5e-4, 5e-3
    assert grid == Grid((5, 6, 7), near)
    assert grid != Grid((5, 6, 7), far)
    assert grid != Grid((7, 6, 5), np.eye(4))
    assert grid != "a grid"


def test_a_grid_cannot_be_changed() -> None:
    affine = np.eye(4)
    grid = Grid((2, 2, 2), affine)
    affine[0, 3] = 9
    assert grid.affine[0, 3] == 0, "the caller's array is copied"
    with pytest.raises(ValueError, match="read-only"):
        grid.affine[0, 0] = 2


def test_swapping_world_frames() -> None:
    matrix = np.eye(4)
    matrix[:3, 3] = (1, 2, 3)
    np.testing.assert_allclose(swap_ras_lps(matrix)[:3, 3], (-1, -2, 3))
    np.testing.assert_allclose(swap_ras_lps(swap_ras_lps(matrix)), matrix)
    point = np.array([4.0, 5, 6])
    flip = np.array([-1, -1, 1])
    np.testing.assert_allclose(
        transform_points(swap_ras_lps(matrix), point * flip), transform_points(matrix, point) * flip
    )


def test_shear_is_the_cosine_between_axes() -> None:
    affine = np.diag([1.0, 2, 3, 1])
    assert Grid((3, 3, 3), affine).shear == 0
    affine[0, 1] = 2  # the second axis now at 45 degrees to the first
    assert Grid((3, 3, 3), affine).shear == pytest.approx(np.sqrt(0.5))


@pytest.mark.parametrize(
    ("shape", "affine", "message"),
    [
        ((3, 0, 3), np.eye(4), "is not a 3-D grid (three positive sizes)"),
        ((3, 3), np.eye(4), "is not a 3-D grid"),
        ((3, 3, 3), np.eye(3), "the affine is not a finite 4x4 matrix"),
        ((3, 3, 3), np.diag([1, np.nan, 1, 1]), "the affine is not a finite 4x4 matrix"),
        ((3, 3, 3), np.diag([1, 1, 1, 2]), "the affine's last row is [0.0, 0.0, 0.0, 2.0] (0 0 0 1)"),
        ((3, 3, 3), np.diag([1, 0, 1, 1]), "the affine is singular (three independent axes"),
        ((3, 3, 3), np.array([[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]), "the affine is singular"),
    ],
)
def test_refused(shape: Any, affine: Any, message: str) -> None:
    with pytest.raises(GeometryError) as caught:
        Grid(shape, affine)
    assert message in str(caught.value)

"""Brain masks and the joint box: no tissue is lost, whatever the grids and the alignment."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import binary_dilation, gaussian_filter
from scipy.spatial.transform import Rotation
from wssamnet.fields import AffineMap
from wssamnet.geometry import Frame, Grid
from wssamnet.preprocessing.brain import bounding_box, brain_mask, joint_box, otsu

SHAPE = (40, 42, 38)


def ellipsoid() -> np.ndarray:
    axes = np.stack(np.meshgrid(*[np.linspace(-1, 1, n) for n in SHAPE], indexing="ij"))
    return np.asarray((axes**2).sum(axis=0) < 0.6)


def test_a_stripped_brain_is_its_nonzero_voxels_with_holes_filled_and_without_specks() -> None:
    brain = ellipsoid()
    image = np.where(brain, 300, 0).astype(np.int16)
    image[18:22, 18:22, 18:22] = 0
    image[1, 1, 1] = 5
    np.testing.assert_array_equal(brain_mask([image]), brain)


def test_z_scores_of_a_stripped_brain_are_brain_and_ringing_around_it_is_not() -> None:
    brain, rng = ellipsoid(), np.random.default_rng(0)
    scores = np.where(brain, rng.normal(size=brain.shape), 0)
    np.testing.assert_array_equal(brain_mask([scores]), brain)
    ringing = np.where(brain, 300.0, np.where(binary_dilation(brain, iterations=2), -rng.uniform(0, 20, SHAPE), 0))
    np.testing.assert_array_equal(brain_mask([ringing]), brain)


def test_any_modality_makes_brain() -> None:
    brain = ellipsoid()
    left, right = np.where(brain, 1, 0), np.where(brain, 1, 0)
    left[:20], right[25:] = 0, 0
    np.testing.assert_array_equal(brain_mask([left, right]), brain)


def test_a_second_part_of_some_size_is_kept() -> None:
    image = np.where(ellipsoid(), 1, 0)
    image[0:4, 0:4, 0:4] = 1
    assert brain_mask([image])[1, 1, 1]


def test_a_scan_that_is_not_stripped_keeps_its_head() -> None:
    rng = np.random.default_rng(0)
    image = np.where(ellipsoid(), 400, 30) + rng.normal(0, 10, SHAPE)
    mask = brain_mask([image])
    assert (mask == ellipsoid()).mean() > 0.99


def test_slices_of_zeros_make_no_head_a_stripped_one() -> None:
    rng = np.random.default_rng(0)
    brain = ellipsoid()
    noise = np.abs(rng.normal(0, 8, SHAPE)) + 1
    image = np.where(brain, 400 + rng.normal(0, 30, SHAPE), noise).astype(np.int16)
    image[:, :, :4] = 0  # a tenth, as defacing or gradient correction leaves
    assert np.mean(brain_mask([image]) == brain) > 0.99


def test_an_image_without_contrast_parts_nowhere() -> None:
    image = np.full(SHAPE, 100.0)
    image[5, 5, 5:9] = 201
    assert 100 <= otsu(image) < 201


def test_a_brain_that_fills_the_image() -> None:
    image = gaussian_filter(np.random.default_rng(0).normal(size=SHAPE), 2) + 5
    assert brain_mask([image]).any()


def test_otsu_parts_two_heaps() -> None:
    rng = np.random.default_rng(0)
    values = np.concatenate([rng.normal(10, 1, 3000), rng.normal(50, 5, 1000)])
    assert 13 < otsu(values) < 40


def test_bounding_box() -> None:
    mask = np.zeros((6, 7, 8), bool)
    mask[2, 3, 1] = mask[4, 3, 6] = True
    assert bounding_box(mask) == (slice(2, 5), slice(3, 4), slice(1, 7))
    assert bounding_box(np.zeros((2, 3, 4), bool)) == (slice(0, 2), slice(0, 3), slice(0, 4))


grids = st.builds(
    lambda angles, spacing, origin: (angles, spacing, origin),
    st.tuples(*[st.floats(-180, 180)] * 3),
    st.tuples(*[st.floats(0.8, 6)] * 3),
    st.tuples(*[st.floats(-100, 100)] * 3),
)


def grid_of(description: Any) -> Grid:
    angles, spacing, origin = description
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_euler("xyz", angles, degrees=True).as_matrix() @ np.diag(spacing)
    affine[:3, 3] = origin
    return Grid((12, 15, 9), affine)


@settings(max_examples=60)
@given(grids, grids, st.integers(0, 10_000), st.sampled_from([None, 1.5, 4.0]), st.sampled_from([16, 32]))
def test_the_box_holds_every_brain_voxel_of_both_scans(
    fixed: Any, moving: Any, seed: int, spacing: float | None, multiple: int
) -> None:
    rng = np.random.default_rng(seed)
    f, m = grid_of(fixed), grid_of(moving)
    masks = [rng.random(g.shape) < 0.01 for g in (f, m)]
    for mask in masks:
        mask[tuple(rng.integers(0, mask.shape))] = True
    start = np.eye(4)
    start[:3, :3] += rng.normal(0, 0.1, (3, 3))
    start[:3, 3] = rng.normal(0, 20, 3)
    prealignment = AffineMap(start)
    box = joint_box(masks[0], f, masks[1], m, prealignment, spacing_mm=spacing, margin_mm=2, multiple=multiple)
    points = np.concatenate(
        [
            f.convert(np.argwhere(masks[0]), Frame.IJK, Frame.LPS),
            prealignment.inverse()(m.convert(np.argwhere(masks[1]), Frame.IJK, Frame.LPS)),
        ]
    )
    ijk = box.convert(points, Frame.LPS, Frame.IJK)
    margin = 2 / box.spacing - 0.01
    assert (ijk.min(axis=0) >= margin).all()
    assert (ijk.max(axis=0) <= np.array(box.shape) - 1 - margin).all()
    assert all(n % multiple == 0 for n in box.shape)
    slack = np.array(box.shape) - (np.ptp(ijk, axis=0) + 1 + 2 * margin)
    assert (slack < multiple + 2).all()  # not larger than it need be
    assert box.canonical().matches(box)
    if spacing is None:  # the fixed scan's own voxels
        offset = box.convert(f.canonical().origin, Frame.LPS, Frame.IJK)
        np.testing.assert_allclose(offset, np.rint(offset), atol=1e-6)
        np.testing.assert_allclose(np.sort(box.spacing), np.sort(f.spacing))
    else:
        np.testing.assert_allclose(box.spacing, spacing)


@pytest.mark.parametrize("shift", [0.0, 60.0])
def test_a_moving_brain_beyond_the_fixed_image_widens_the_box(shift: float) -> None:
    grid = Grid(SHAPE, np.diag([2.0, 2, 2, 1]))
    far = Grid(SHAPE, np.array([[2.0, 0, 0, shift], [0, 2, 0, 0], [0, 0, 2, 0], [0, 0, 0, 1]]))
    box = joint_box(ellipsoid(), grid, ellipsoid(), far, AffineMap())
    assert box.shape == ((32, 48, 32) if shift == 0 else (64, 48, 32))

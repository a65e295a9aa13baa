"""Batches and augmentation: padding, order, and known deformations."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from wssamnet.errors import CohortError
from wssamnet.models.warp import warp
from wssamnet.preprocessing.prepared import PreparedCase
from wssamnet.settings import make_settings
from wssamnet.training.augmentation import affine_displacement, random_affine
from wssamnet.training.dataset import open_training_set
from wssamnet.training.pretraining import augmented_pair

Make = Callable[..., PreparedCase]


def test_a_batch_is_as_large_as_its_largest_box(make_prepared: Make) -> None:
    small, large = make_prepared("b", shape=(18, 33, 13)), make_prepared("a", shape=(20, 24, 16))
    cases = open_training_set([small.folder, large.folder, small.folder], make_settings())
    assert cases.ids == ["a", "b"]
    assert cases.spacing == (4, 4, 4)
    brain = small.array("fixed_mask") | small.array("moving_mask")
    places = np.argwhere(brain)
    low, high = places.min(axis=0), places.max(axis=0) + 1
    own = tuple(int(n) for n in high - low)  # the brain's box, smaller than the grid
    batch = cases.batch([1, 0], ("fixed", "moving_mask"))
    assert batch.shapes[0] == own
    shape = cases.shape([1, 0])
    assert all(n % 4 == 0 and n >= max(sizes) > n - 4 for n, *sizes in zip(shape, *batch.shapes, strict=True))
    assert batch["fixed"].shape == batch["moving_mask"].shape == (2, 1, *shape)
    for pick, sizes in zip([1, 0], batch.shapes, strict=True):  # alone each is padded to what halves evenly, no further
        assert all(n >= size > n - 4 for n, size in zip(cases.shape([pick]), sizes, strict=True))
        assert cases.batch([pick], ("fixed",))["fixed"].shape[2:] == cases.shape([pick]) != shape
    part = cases.batch([1, 0], ("fixed",), share=slice(1, 2))  # one process's
    assert part.shapes == batch.shapes[1:]
    assert torch.equal(part["fixed"], batch["fixed"][1:])
    assert batch["moving_mask"].dtype == torch.bool
    inside = batch["fixed"][0, 0, : own[0], : own[1], : own[2]].numpy()
    whole = small.array("fixed")[0].astype(np.float32)
    assert np.array_equal(inside, whole[low[0] : high[0], low[1] : high[1], low[2] : high[2]])
    assert inside.sum() == pytest.approx(whole.sum())
    assert batch["fixed"][0].sum() == pytest.approx(inside.sum())


def test_every_pass_draws_every_case_once_in_another_order(make_prepared: Make) -> None:
    folders = [make_prepared(f"case_{n}", shape=(16, 16, 16)).folder for n in range(5)]
    cases = open_training_set(folders, make_settings())
    drawn = [pick for step in range(10) for pick in cases.draw(step, 2)]
    passes = [drawn[start : start + 5] for start in range(0, 20, 5)]
    assert all(sorted(one) == list(range(5)) for one in passes)
    assert len({tuple(one) for one in passes}) > 1
    assert cases.draw(7, 2) == drawn[14:16]  # of the step alone


def test_another_voxel_size_is_refused(make_prepared: Make) -> None:
    one, two = make_prepared("one", shape=(16, 16, 16)), make_prepared("two", shape=(16, 16, 16))
    text = (two.folder / "prepared.json").read_text().replace("4.0", "3.0")
    (two.folder / "prepared.json").write_text(text)
    said = r"two: is seen with voxels of 3 x 3 x 3 mm, one of 4 x 4 x 4 mm \(set spacing_mm, or a network_spacing_mm"
    with pytest.raises(CohortError, match=said):
        open_training_set([one.folder, two.folder], make_settings())


def test_a_quarter_turn_about_the_centre_turns_the_volume() -> None:
    turn = np.eye(4)
    turn[:2, :2] = [[0, -1], [1, 0]]
    image = torch.rand(1, 1, 9, 9, 5)
    field = affine_displacement(turn, (9, 9, 5), (9, 9, 5), (2.0, 2.0, 3.0))[None]
    # out(i, j) = image at centre + turn (i, j): i reads -j, j reads i
    torch.testing.assert_close(warp(image, field), torch.rot90(image, -1, (2, 3)), atol=1e-5, rtol=0)


def test_a_translation_is_in_millimetres_and_the_centre_is_the_volumes_own() -> None:
    shift = np.eye(4)
    shift[:3, 3] = (4.0, -3.0, 1.0)
    field = affine_displacement(shift, (8, 8, 8), (16, 16, 16), (2.0, 3.0, 4.0))
    assert field.shape == (3, 16, 16, 16)
    assert field[:, 3, 9, 12].tolist() == pytest.approx([2, -1, 0.25])
    scale = np.diag([1.5, 1.5, 1.5, 1.0])
    grown = affine_displacement(scale, (9, 9, 9), (16, 16, 16), (2.0, 3.0, 4.0))
    assert grown[:, 4, 4, 4].tolist() == pytest.approx([0, 0, 0], abs=1e-6)
    assert grown[:, 6, 4, 0].tolist() == pytest.approx([1, 0, -2], abs=1e-6)


def test_draws_keep_their_ranges_and_the_share_of_identities() -> None:
    settings = make_settings("paper", {"pretraining_identity": 0.25, "pretraining_scaling": 0})
    generator = np.random.default_rng(0)
    matrices = [random_affine(generator, settings) for _ in range(400)]
    identities = sum(np.array_equal(matrix, np.eye(4)) for matrix in matrices)
    assert 70 < identities < 130
    shifts = np.array([matrix[:3, 3] for matrix in matrices])
    assert 7.5 < np.abs(shifts).max() <= 8
    assert all(np.allclose(matrix[:3, :3] @ matrix[:3, :3].T, np.eye(3)) for matrix in matrices)


def test_augmented_pairs_are_a_volume_and_its_deformed_self(make_prepared: Make) -> None:
    case = make_prepared("one", shape=(16, 16, 16))
    settings = make_settings("paper", {"batch_size": 4, "pretraining_identity": 1})
    cases = open_training_set([case.folder], settings)
    batch = augmented_pair(cases, 0, settings, torch.device("cpu"))
    torch.testing.assert_close(batch["fixed"], batch["moving"], atol=1e-5, rtol=0)
    sides = {float(image.sum()) for image in batch["fixed"]}
    assert len(sides) == 2  # both time points are drawn
    moved = make_settings("paper", {"batch_size": 4, "pretraining_identity": 0})
    first, again = (augmented_pair(cases, 3, moved, torch.device("cpu")) for _ in range(2))
    assert torch.equal(first["moving"], again["moving"])
    assert not torch.allclose(first["fixed"], first["moving"], atol=0.05)


def test_cases_of_two_voxel_sizes_train_together_at_the_networks(make_prepared: Make) -> None:
    one, two = make_prepared("one", shape=(32, 34, 30)), make_prepared("two", shape=(33, 32, 31), seed=1)
    text = (two.folder / "prepared.json").read_text().replace("4.0", "3.0")
    (two.folder / "prepared.json").write_text(text)
    folders = [one.folder, two.folder]
    cases = open_training_set(folders, make_settings(values={"network_spacing_mm": 8}), needs=["fixed_roi"])
    assert cases.spacing == pytest.approx((8, 8, 8))
    batch = cases.batch([0, 1], ("fixed", "fixed_mask", "fixed_roi"))
    assert batch["fixed"].shape == (2, 1, *cases.shape([0, 1]))
    # the brain's diameter is 0.84 of the box
    for size, shape, box in zip((4, 3), ((32, 34, 30), (33, 32, 31)), batch.shapes, strict=True):
        assert np.abs(np.array(box) * 8 - 0.84 * size * np.array(shape)).max() <= 12
    for place, (size, folder) in enumerate(zip((4, 3), folders, strict=True)):
        for name in ("fixed_mask", "fixed_roi"):
            whole = np.load(folder / f"{name}.npy") & np.load(folder / "fixed_mask.npy")
            found = batch[name][place] & batch["fixed_mask"][place]
            assert int(found.sum()) * 8**3 == pytest.approx(whole.sum() * size**3, rel=0.15)
    settings = make_settings(values={"network_spacing_mm": 3.5})
    with pytest.raises(CohortError, match=r"two: is seen with voxels of 3.5 x 3.5 x 3.5 mm, one of 4 x 4 x 4 mm"):
        open_training_set(folders, settings)


@pytest.mark.parametrize("spacing", [None, 8.0])
def test_landmarks_lie_in_the_middle_of_their_rois(make_prepared: Make, spacing: float | None) -> None:
    folders = [make_prepared(f"case_{n}", seed=n, shape=(30, 33, 28), landmarks=1).folder for n in range(2)]
    cases = open_training_set(folders, make_settings(values={"network_spacing_mm": spacing}), needs=["landmarks"])
    rois = cases.batch([1, 0], ("fixed_roi", "moving_roi"))
    for place, pick in enumerate([1, 0]):
        for points, side in zip(cases.landmarks(pick), ("fixed", "moving"), strict=True):
            assert points.dtype == torch.float32
            assert points.shape == (1, 3)
            middle = torch.nonzero(rois[f"{side}_roi"][place, 0]).float().mean(dim=0)
            assert (points[0] - middle).abs().max() <= 0.75


def test_rois_that_the_networks_voxels_are_too_large_for(make_prepared: Make) -> None:
    case = make_prepared("one", shape=(20, 20, 20))
    roi = np.zeros((20, 20, 20), bool)
    roi[5, 9, 9] = roi[14, 9, 12] = True
    np.save(case.folder / "moving_roi.npy", roi)
    settings = make_settings(values={"network_spacing_mm": 8})
    assert open_training_set([case.folder], settings, needs=["fixed_roi"]).ids == ["one"]
    said = r"one: less than half of moving_roi.npy is left at voxels of 8 mm \(prepare it with a larger roi_voxels, or"
    with pytest.raises(CohortError, match=said):
        open_training_set([case.folder], settings, needs=["fixed_roi", "moving_roi"])
    assert open_training_set([case.folder], make_settings(), needs=["moving_roi"]).ids == ["one"]

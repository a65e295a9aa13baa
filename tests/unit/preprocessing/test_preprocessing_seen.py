"""A case at the voxel size that a network sees: the same places in mm, the same kind of arrays."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from wssamnet.errors import ImageError
from wssamnet.fields import AffineMap
from wssamnet.files import write_json
from wssamnet.geometry import Array, Frame, Grid
from wssamnet.preprocessing.prepared import PreparedCase, load_prepared
from wssamnet.preprocessing.regrid import regrid
from wssamnet.preprocessing.roi import roi_mask
from wssamnet.preprocessing.seen import seen_at

Make = Callable[..., PreparedCase]


def places(grid: Grid) -> Array:
    """(X, Y, Z, 3), LPS mm of a grid's voxels."""
    return grid.convert(
        np.stack(np.meshgrid(*map(np.arange, grid.shape), indexing="ij"), axis=-1), Frame.IJK, Frame.LPS
    )


def case_on(folder: Path, grid: Grid, images: NDArray[np.float64], mask: NDArray[np.bool_]) -> PreparedCase:
    """A prepared case of which only the fixed side is there."""
    np.save(folder / "fixed.npy", (images * mask).astype(np.float16))
    np.save(folder / "fixed_mask.npy", mask)
    record = {"id": "one", "grid": grid.to_dict(), "prealignment": np.eye(4).tolist(), "modalities": ["t1ce"]}
    write_json(folder / "prepared.json", record)
    return load_prepared(folder)


@pytest.mark.parametrize("spacing", [5.0, 9.0])
def test_every_voxel_shows_what_is_at_its_place(odd_grid: Grid, spacing: float, tmp_path: Path) -> None:
    ramp = np.moveaxis(places(odd_grid), -1, 0)
    low, high = ramp.min(), ramp.max()
    case = case_on(tmp_path, odd_grid, 0.1 + 0.8 * (ramp - low) / (high - low), np.ones(odd_grid.shape, bool))
    seen = seen_at(case, spacing)
    images = seen.array("fixed")
    assert images.shape == (3, *seen.grid.shape)
    np.testing.assert_allclose(seen.grid.spacing, spacing)
    assert (np.abs(np.array(seen.grid.shape) * spacing - np.array(odd_grid.shape) * odd_grid.spacing) <= spacing).all()
    inner = (slice(2, -2),) * 3  # the smoothing meets the border beyond
    told = low + (np.moveaxis(images.astype(np.float64), 0, -1)[inner] - 0.1) / 0.8 * (high - low)
    assert np.abs(told - places(seen.grid)[inner]).max() < 0.05 * spacing
    assert seen.array("fixed_mask").all()


def test_what_is_constant_in_the_brain_stays_so_up_to_its_edge(odd_grid: Grid, tmp_path: Path) -> None:
    middle = odd_grid.convert((np.array(odd_grid.shape) - 1) / 2, Frame.IJK, Frame.LPS)
    brain = np.linalg.norm(places(odd_grid) - middle, axis=-1) < 50
    seen = seen_at(case_on(tmp_path, odd_grid, np.full((2, *odd_grid.shape), 0.6), brain), 8)
    images, mask = seen.array("fixed"), seen.array("fixed_mask")
    assert (images.dtype, mask.dtype) == (np.float16, np.bool_)
    np.testing.assert_allclose(images[:, mask].astype(float), 0.6, atol=1e-3)
    assert (images[:, ~mask] == 0).all()
    distance = np.linalg.norm(places(seen.grid) - middle, axis=-1)
    assert mask[distance < 47].all()
    assert not mask[distance > 53].any()


def test_it_is_what_the_preparation_makes_of_the_same_voxels(odd_grid: Grid, tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    mask = np.zeros(odd_grid.shape, bool)
    mask[6:-6, 6:-5, 4:-5] = True
    case = case_on(tmp_path, odd_grid, rng.uniform(0.1, 1, (2, *odd_grid.shape)), mask)
    seen = seen_at(case, 8)
    images, brain = regrid(case.array("fixed").astype(np.float32), mask, odd_grid, seen.grid, AffineMap())
    assert (seen.array("fixed_mask") != brain).mean() < 1e-3
    both = seen.array("fixed_mask") & brain
    gap = np.abs(seen.array("fixed").astype(float) - images)[:, both]
    assert gap.max() < 0.02  # the Gaussian is cut at four sigma here, at three there
    assert gap.mean() < 2e-3


@pytest.mark.parametrize("spacing", [5.0, 8.0])
def test_an_roi_keeps_its_place_and_size_in_mm(odd_grid: Grid, spacing: float, tmp_path: Path) -> None:
    case = case_on(tmp_path, odd_grid, np.full((1, *odd_grid.shape), 0.5), np.ones(odd_grid.shape, bool))
    for point in odd_grid.convert([[13, 17, 9], [20, 11, 12]], Frame.IJK, Frame.LPS):
        np.save(tmp_path / "moving_roi.npy", roi_mask(point[None], odd_grid, 9))
        seen = seen_at(case, spacing)
        roi = seen.array("moving_roi")
        assert roi.dtype == np.bool_
        assert np.abs(places(seen.grid)[roi].mean(axis=0) - point).max() < 0.5 * spacing
        assert roi.sum() * spacing**3 == pytest.approx(9**3 * odd_grid.spacing.prod(), rel=0.3)


@pytest.mark.parametrize("spacing", [None, 3.0, 4.0, 4.03])
def test_nothing_is_resampled_where_nothing_is_gained(make_prepared: Make, spacing: float | None) -> None:
    case = make_prepared(shape=(12, 12, 12))
    assert seen_at(case, spacing) is case


def test_the_rest_of_the_case_is_its_own(make_prepared: Make) -> None:
    case = make_prepared(shape=(17, 18, 19))
    before = {path.name: path.read_bytes() for path in case.folder.iterdir()}
    seen = seen_at(case, 7.5)
    assert (seen.id, seen.folder, seen.has("fixed_roi"), seen.has("nothing")) == (case.id, case.folder, True, False)
    assert seen.record["modalities"] == case.record["modalities"]
    assert seen.native_grid("fixed") == case.native_grid("fixed")
    assert case.grid.spacing == pytest.approx(4)
    np.testing.assert_array_equal(seen.array("landmarks"), case.array("landmarks"))  # mm
    assert seen.array("moving_mask") is seen.array("moving_mask")  # made once
    assert {path.name: path.read_bytes() for path in case.folder.iterdir()} == before
    (case.folder / "moving_roi.npy").write_bytes(b"")
    with pytest.raises(ImageError, match=r"moving_roi\.npy"):
        seen.array("moving_roi")

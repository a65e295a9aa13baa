"""The refinement recovers known deformations, on odd grids too, and does not fold."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, map_coordinates
from wssamnet.fields import DisplacementField, jacobian_determinant
from wssamnet.geometry import Frame, Grid
from wssamnet.landmarks import read_landmarks
from wssamnet.preprocessing.prepared import PreparedCase
from wssamnet.registration.protocol import run
from wssamnet.registration.refined import RefinementRegistrar
from wssamnet.registration.refinement import FOLDED, SCHEDULES, Schedule, refine


def textured_pair(shape: tuple[int, int, int], seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Fixed, moving (1, X, Y, Z), and the smooth displacement v with fixed(x) = moving's texture at x + v."""
    rng = np.random.default_rng(seed)
    wide = tuple(n + 16 for n in shape)
    texture = gaussian_filter(rng.normal(size=wide), 1.5)
    texture = 0.5 + 0.15 * texture / texture.std()
    v = np.stack([gaussian_filter(rng.normal(size=shape), 6) for _ in range(3)], axis=-1)
    v *= 2.5 / np.abs(v).max()
    at = np.stack(np.meshgrid(*[np.arange(n) for n in shape], indexing="ij")) + 8.0
    fixed = map_coordinates(texture, at + np.moveaxis(v, -1, 0), order=1)
    moving = map_coordinates(texture, at, order=1)
    return fixed[None].astype(np.float32), moving[None].astype(np.float32), v.astype(np.float32)


@pytest.mark.parametrize("preset", ["fast", "accurate"])
def test_recovers_a_known_field(preset: str) -> None:
    fixed, moving, v = textured_pair((40, 38, 36))
    grid = Grid((40, 38, 36), np.diag([1.0, 1.0, 1.0, 1.0]))
    u = refine(fixed, moving, grid, schedule=SCHEDULES[preset])
    inner = (slice(6, -6),) * 3
    before, after = np.linalg.norm(v[inner], axis=-1), np.linalg.norm((u - v)[inner], axis=-1)
    assert after.mean() < 0.25 * before.mean()
    assert (jacobian_determinant(DisplacementField(u, grid)) > 0).all()


def test_same_result_on_flipped_axes() -> None:
    fixed, moving, _ = textured_pair((32, 30, 28), seed=1)
    grid = Grid((32, 30, 28), np.diag([2.0, 2.0, 2.0, 1.0]))
    plain = refine(fixed, moving, grid)
    turned = refine(np.ascontiguousarray(fixed[:, ::-1]), np.ascontiguousarray(moving[:, ::-1]), grid)
    np.testing.assert_allclose(turned[::-1] * (-1, 1, 1), plain, atol=0.02)


def test_anisotropic_voxels() -> None:
    fixed, moving, v = textured_pair((48, 48, 48), seed=2)
    keep = (slice(None), slice(None), slice(None), slice(None, None, 2))
    grid = Grid((48, 48, 24), np.diag([1.0, 1.0, 2.0, 1.0]))
    u = refine(np.ascontiguousarray(fixed[keep]), np.ascontiguousarray(moving[keep]), grid)
    truth = v[:, :, ::2] * (1, 1, 0.5)
    inner = (slice(6, -6), slice(6, -6), slice(3, -3))
    mm = np.array([1, 1, 2])
    gap = np.linalg.norm(((u - truth) * mm)[inner], axis=-1).mean()
    assert gap < 0.4 * np.linalg.norm((truth * mm)[inner], axis=-1).mean()


def test_a_long_shift_between_thick_slices() -> None:
    """Slices of 5 mm are no reason to leave the coarse levels out: they are as high as the brain, not as its number."""
    rng = np.random.default_rng(5)
    size = np.array((100, 100, 125))
    texture = sum(gaussian_filter(rng.normal(size=size + 20), sigma) * sigma**1.5 for sigma in (2, 6))
    texture = 0.5 + 0.15 * texture / texture.std()
    shift = np.array((5, -4, 4))  # mm

    def scan(corner: np.ndarray) -> np.ndarray:
        cut = tuple(slice(first, first + n, step) for first, n, step in zip(corner, size, (1, 1, 5), strict=True))
        return texture[cut][None].astype(np.float32)

    grid = Grid((100, 100, 25), np.diag([1.0, 1.0, 5.0, 1.0]))
    u = refine(scan(10 + shift), scan(np.full(3, 10)), grid)
    inner = (slice(15, -15), slice(15, -15), slice(3, -3))
    assert np.linalg.norm((u * grid.spacing - shift)[inner], axis=-1).mean() < 1


def test_two_channels_and_a_start() -> None:
    fixed, moving, v = textured_pair((32, 32, 32), seed=3)
    grid = Grid((32, 32, 32), np.diag([1.0, 1.0, 1.0, 1.0]))
    doubled = refine(np.concatenate([fixed, fixed]), np.concatenate([moving, moving]), grid)
    np.testing.assert_allclose(doubled, refine(fixed, moving, grid), atol=1e-3)
    none = replace(SCHEDULES["fast"], levels_mm=(1.0,), iterations=(0,))
    kept = refine(fixed, moving, grid, start=v, schedule=none)  # by a vector for every 2x2x2 voxels
    inner = (slice(2, -2),) * 3
    np.testing.assert_allclose(kept[inner], v[inner], atol=0.05)


@pytest.mark.parametrize("both_ways", [False, True])
def test_a_start_that_folds_does_not_come_out_folded(both_ways: bool) -> None:
    fixed, moving, _ = textured_pair((40, 40, 40), seed=6)
    grid = Grid((40, 40, 40), np.diag([1.0, 1.0, 1.0, 1.0]))
    away = np.stack(np.meshgrid(*[np.arange(40.0)] * 3, indexing="ij"), axis=-1) - 19.5
    start = -2 * away * np.exp(-(away**2).sum(-1, keepdims=True) / (2 * 9**2))  # the middle is turned inside out

    def folds(u: np.ndarray) -> float:
        return float((jacobian_determinant(DisplacementField(u.astype(np.float32), grid)) <= 0).mean())

    assert folds(start) > 0.01
    still = Schedule(levels_mm=(1.0,), iterations=(0,), windows=(3,), both_ways=both_ways)
    for schedule in (still, replace(SCHEDULES["fast"], both_ways=both_ways)):
        u = refine(fixed, moving, grid, start=start.astype(np.float32), schedule=schedule)
        assert folds(u) <= FOLDED
    calm = start.astype(np.float32) / 8
    kept = refine(fixed, moving, grid, start=calm, schedule=replace(still, both_ways=False))
    np.testing.assert_allclose(kept, calm, atol=0.05)  # without folds it is left as it is


def test_equal_images_stay_where_they_are() -> None:
    fixed, _, _ = textured_pair((24, 24, 24), seed=4)
    grid = Grid((24, 24, 24), np.diag([1.0, 1.0, 1.0, 1.0]))
    assert np.abs(refine(fixed, fixed, grid, schedule=Schedule(iterations=(5, 5, 5, 5)))).max() < 0.6
    empty = np.zeros_like(fixed)
    np.testing.assert_array_equal(refine(empty, empty, grid), 0)


def test_repeatable(make_prepared: Callable[..., PreparedCase]) -> None:
    case = make_prepared()
    fixed, moving = (np.asarray(case.array(side), np.float32) for side in ("fixed", "moving"))
    np.testing.assert_array_equal(refine(fixed, moving, case.grid), refine(fixed, moving, case.grid))


def test_registrar_brings_landmarks_closer(make_prepared: Callable[..., PreparedCase], tmp_path) -> None:
    case = make_prepared(shape=(40, 40, 40), amplitude=2.0, landmarks=12)
    folder = run(RefinementRegistrar("accurate"), case, tmp_path / "out")
    truth, moving = read_landmarks(case.folder / "truth.csv"), case.moving_landmarks()
    assert moving is not None
    found = read_landmarks(folder / "landmarks.csv")
    before = np.linalg.norm(moving.points - truth.points, axis=1).mean()
    after = np.linalg.norm(found.points - truth.points, axis=1).mean()
    assert after < 0.4 * before
    assert case.grid.convert(found.points, Frame.LPS, Frame.IJK).shape == (12, 3)

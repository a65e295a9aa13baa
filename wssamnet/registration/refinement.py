"""Refinement: instance optimisation of one pair, coarse to fine, greedy and compositional.

At every step the similarity's gradient with respect to a small displacement composed onto the field so far is
smoothed, turned into a direction by Adam, smoothed again, scaled so that its longest vector is half a voxel or less,
composed, and the field itself smoothed a little. The two smoothings make the update fluid-like, the last one
elastic-like (Avants et al., Med Image Anal 2008, is the classical relative of it); composing keeps the field free of
folds. A field that smooth needs no vector at every voxel: it lives on blocks of 2x2x2 voxels, and only the warp, the
similarity and its gradient are computed at all of them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter

from wssamnet.fields import DisplacementField, inverse
from wssamnet.geometry import Grid
from wssamnet.kernels.greedy import Factors, Rows, adam, add_force, compose, rows_within, warp
from wssamnet.kernels.jacobian import determinant
from wssamnet.kernels.lengths import longest, typical
from wssamnet.kernels.levels import blur, positions, shrink
from wssamnet.kernels.lncc import lncc_sum
from wssamnet.kernels.resizing import resize
from wssamnet.kernels.smoothing import gaussian

Field = NDArray[np.float32]
Mask = NDArray[np.bool_]
_Pair = tuple[NDArray[np.float32], NDArray[np.float32]]
_Lesions = tuple[NDArray[np.float32] | None, NDArray[np.float32] | None]

_EPSILON, _FLAT = 1e-8, 1e-5
FOLDED = 1e-3  # of the brain's voxels; a field with more is no result


@dataclass(frozen=True)
class Schedule:
    """How much work a refinement does.

    Args:
        levels_mm: voxel size of each level, coarse to fine; levels finer than the scan are done at its own voxels,
            levels on which it has fewer than four windows along an axis are left out.
        iterations: steps at each level.
        windows: edge of the LNCC window at each level, voxels. Small ones keep a lesion's change to itself; at the
            finest level, where noise is strongest, a larger one pays.
        update_sigma, field_sigma: Gaussian smoothing of the update (before and after Adam) and of the field, voxels.
        step: longest displacement of one step, voxels (of the same volume with equal edges, where they are not);
            falls along a cosine to a tenth of it within a level.
        floor: of Adam, in root mean squares of the gradient. Where nothing is compared the gradient is the faint tail
            of what lies beside; without a floor it would be turned into steps as long as any other.
        both_ways: also register the other way round and average with its inverse.
    """

    levels_mm: tuple[float, ...] = (8.0, 4.0, 2.0, 1.0)
    iterations: tuple[int, ...] = (40, 40, 15, 4)
    windows: tuple[int, ...] = (3, 3, 3, 5)
    update_sigma: float = 3.5
    field_sigma: float = 0.5
    step: float = 0.5
    floor: float = 0.3
    both_ways: bool = False


SCHEDULES = {"fast": Schedule(), "accurate": Schedule(both_ways=True)}


class _Plan(NamedTuple):
    """A level's voxels, the steps to be made there, and the edge of the LNCC window in its voxels."""

    grid: Grid
    steps: int
    window: int


def _plans(grid: Grid, schedule: Schedule) -> list[_Plan]:
    """From coarse to fine, at least one."""
    own = float(np.exp(np.log(grid.spacing).mean()))
    extent = float((np.array(grid.shape) * grid.spacing).min())
    found: list[_Plan] = []
    for size, count, window in zip(schedule.levels_mm, schedule.iterations, schedule.windows, strict=True):
        if size <= 1.3 * own:  # as fine as the scan is, and so is every level after it
            return [*found, _Plan(grid, count, window)]
        if extent / size >= 4 * window:
            found.append(_Plan(grid.resampled(size), count, window))
    return found or [_Plan(grid, max(schedule.iterations), schedule.windows[-1])]


def _near_lesion(share: NDArray[np.float32], window: int) -> NDArray[np.float32]:
    """Every voxel whose window holds a fair part of a lesion, as 0 and 1; `share` is (1, X, Y, Z)."""
    return np.asarray(maximum_filter(share[0], window) > 0.1, dtype=np.float32)


def _blocks(level: Grid) -> tuple[Grid, Factors]:
    """Where the field of a level lives, and how many voxels a vector serves along each axis: two, or one where the
    voxels are so long that the smoothing hardly reaches the next."""
    short = level.spacing < 1.5 * np.cbrt(level.spacing.prod())
    factors = np.where(short & (np.array(level.shape) > 1), 2, 1)
    shape = -(-np.array(level.shape) // factors)
    matrix = np.diag([*factors, 1.0])
    matrix[:3, 3] = (factors - 1) / 2
    return Grid((int(shape[0]), int(shape[1]), int(shape[2])), level.affine @ matrix), factors


def _counting(
    fixed: NDArray[np.float32] | None, moving: NDArray[np.float32] | None, u: Field, factors: Factors, rows: Rows
) -> Mask | None:
    """Voxels whose windows count: no lesion in the fixed image, nor in the moving one as it lies now."""
    known = moving if fixed is None else fixed
    if known is None:
        return None
    out = np.ones(known.shape, dtype=np.bool_)
    if fixed is not None:
        out &= fixed == 0
    if moving is not None:
        out &= warp(moving, u, factors, rows, np.empty_like(moving)) < 0.1
    return out


@dataclass(frozen=True, eq=False)
class _Level:
    """The pair at one resolution.

    Args:
        plan: what is to be done there.
        images: fixed and moving, (C, X, Y, Z) each.
        lesions: how much of each voxel is lesion, fixed and moving, (1, X, Y, Z) each; None for none.
    """

    plan: _Plan
    images: _Pair
    lesions: _Lesions

    def turned(self) -> _Level:
        """Fixed and moving exchanged."""
        return _Level(self.plan, self.images[::-1], self.lesions[::-1])


def _descend(level: _Level, u: Field, schedule: Schedule, factors: Factors) -> Field:
    """The steps of one level; the field counts its voxels, one vector for `factors` of them."""
    (grid, steps, window), (fixed, moving) = level.plan, level.images
    # a voxel's mean edge along each axis, in voxels; directions and their lengths are taken in mean edges, for the
    # edges may differ fivefold
    spacing = grid.spacing
    sigma = np.cbrt(spacing.prod()) / spacing
    metric = sigma.astype(np.float32)
    near = [None if share is None else _near_lesion(share, window) for share in level.lesions]
    warped, slope = np.empty(fixed.shape[1:], np.float32), np.empty(fixed.shape[1:], np.float32)
    first, second = np.zeros_like(u), np.zeros(u.shape[:3], np.float32)
    u, force, step, smooth = u.copy(), *(np.empty_like(u) for _ in range(3))  # reused at every step
    # a window without any of the fixed image counts nothing; a window's reach beyond one that does, and a voxel more
    # for the warped image's gradient, is all that has any influence
    rows = rows_within(np.asarray(fixed.any(axis=0), np.float32), window)
    of_blocks = (factors**2 - 1) / 12  # the variance that taking means over blocks has given the update already
    update_sigma = np.sqrt(np.maximum((schedule.update_sigma * sigma) ** 2 - of_blocks, 0)) / factors
    for turn in range(1, steps + 1):
        force.fill(0)
        mask = _counting(near[0], near[1], u, factors, rows)
        for target, source in zip(fixed, moving, strict=True):
            warp(source, u, factors, rows, warped)
            lncc_sum(target, warped, mask, window=window, squared=True, epsilon=_EPSILON, flat=_FLAT, gradient=slope)
            add_force(slope, warped, factors, rows, force)
        force *= metric
        gaussian(force, update_sigma, out=smooth)
        adam(smooth, first, second, turn, step, betas=(0.5, 0.99), floor=schedule.floor * typical(smooth))
        direction = gaussian(step, schedule.update_sigma * sigma / factors, out=smooth)
        size = longest(direction)
        if size == 0:
            break
        direction *= metric
        limit = schedule.step * (0.55 + 0.45 * math.cos(math.pi * (turn - 1) / steps))
        gaussian(compose(u, direction, limit / size, factors, step), schedule.field_sigma * sigma / factors, out=u)
    return u


def _pyramid(grid: Grid, images: _Pair, lesions: _Lesions, schedule: Schedule) -> list[_Level]:
    """Coarse to fine; each level is made from the next finer one, where blurring costs less."""
    found: list[_Level] = []
    for plan in reversed(_plans(grid, schedule)):
        onto = partial(shrink, grid=grid, level=plan.grid)
        images = onto(images[0]), onto(images[1])
        fixed, moving = (None if one is None else onto(one) for one in lesions)
        grid, lesions = plan.grid, (fixed, moving)
        found.append(_Level(plan, images, lesions))
    return found[::-1]


def _one_way(levels: list[_Level], grid: Grid, start: Field | None, schedule: Schedule) -> Field:
    u, place, voxel = start, grid, grid.spacing  # the field, where it lives, and the voxel that it counts in
    if u is not None:  # the finest blocks first, where blurring it to the coarsest costs little
        finest, coarsest = _blocks(levels[-1].plan.grid)[0], _blocks(levels[0].plan.grid)[0]
        u, place = resize(u, positions(grid, finest)), finest
        u = gaussian(u, blur(coarsest, finest))
    for level in levels:
        spacing = level.plan.grid.spacing
        blocks, factors = _blocks(level.plan.grid)
        if u is None:
            u = np.zeros((*blocks.shape, 3), np.float32)
        else:
            u = resize(u, positions(place, blocks), voxel / spacing)
        u = _descend(level, u, schedule, factors)
        place, voxel = blocks, spacing
    assert u is not None  # there is at least one level
    return resize(u, positions(place, grid), voxel / grid.spacing)


def _unfolded(u: Field, fixed: NDArray[np.float32]) -> Field:
    """Smoothed, each time more, until at most `FOLDED` of the brain folds.

    Small composed steps do not fold; a start may, and an average of two fields could.
    """
    brain = fixed.any(axis=0)
    sigma = 1.0  # voxels
    while np.count_nonzero((determinant(u, np.eye(3)) <= 0) & brain) > FOLDED * np.count_nonzero(brain):
        u, sigma = gaussian(u, sigma), 1.5 * sigma
    return u


def refine(
    fixed: NDArray[np.float32],
    moving: NDArray[np.float32],
    grid: Grid,
    *,
    start: Field | None = None,
    schedule: Schedule = SCHEDULES["fast"],
    lesions: tuple[Mask | None, Mask | None] = (None, None),
) -> Field:
    """Register two images of one grid.

    Args:
        fixed, moving: (C, X, Y, Z) float32, normalised alike, background 0.
        grid: where both live.
        start: (X, Y, Z, 3) pull-back in voxels to go on from; None for none.
        schedule: the work to be done.
        lesions: (X, Y, Z) each, of the fixed and the moving image: windows that reach these voxels do not
            count, so the field there is what the smoothing carries in from beside them; None for none.

    Returns:
        (X, Y, Z, 3) float32 pull-back, voxels of `grid`; at most `FOLDED` of the brain folds.
    """
    here, beyond = (None if lesion is None else lesion[None].astype(np.float32) for lesion in lesions)
    levels = _pyramid(grid, (fixed, moving), (here, beyond), schedule)
    there = _one_way(levels, grid, start, schedule)
    if not schedule.both_ways:
        return _unfolded(there, fixed)
    turned = _inverse(start, grid) if start is not None else None
    back = _one_way([level.turned() for level in levels], grid, turned, schedule)
    return _unfolded(np.asarray(0.5 * (there + _inverse(back, grid)), dtype=np.float32), fixed)


def _inverse(u: Field, grid: Grid) -> Field:
    """The inverse of a voxel displacement, on the same grid."""
    plain = Grid(grid.shape, np.diag([-1.0, -1.0, 1.0, 1.0]))  # its LPS millimetres are its voxel indices
    return inverse(DisplacementField(u, plain), plain).displacement

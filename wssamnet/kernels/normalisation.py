"""Instance norm and LeakyReLU of a network's layer, fused, channels last.

y = leaky(γ (x - mean) / sqrt(var + ε) + β), mean and variance over the voxels of one channel. The order of every
sum is fixed by the shape, so the bits do not depend on the number of threads.

The rows are walked in blocks of many voxels with all their channels, the channels' constants repeated as often, so
that few channels, too, fill the processor's vectors.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from wssamnet.kernels.rows import COMPILE
from wssamnet.kernels.threads import run_ranges

Floats = NDArray[np.float32]
Sums = NDArray[np.float64]
_BLOCK = 512  # values


@njit(**COMPILE)
def _moments(begin: int, end: int, x: Any, shift: Any, sums: Any) -> None:  # pragma: no cover - compiled
    """Sums of x - shift and of its square over the blocks of each plane, into sums (planes, 2, block)."""
    length, block = x.shape[1], shift.shape[0]
    for p in range(begin, end):
        total, square = sums[p, 0], sums[p, 1]
        for start in range(0, length, block):
            row = x[p, start : min(start + block, length)]
            for i in range(row.shape[0]):
                d = row[i] - shift[i]
                total[i] += d
                square[i] += d * d


@njit(**COMPILE)
def _value(
    begin: int, end: int, x: Any, factor: Any, offset: Any, slope: float, out: Any
) -> None:  # pragma: no cover - compiled
    length, block = x.shape[1], factor.shape[0]
    s = np.float32(slope)
    for p in range(begin, end):
        for start in range(0, length, block):
            row = x[p, start : min(start + block, length)]
            target = out[p, start : min(start + block, length)]
            for i in range(row.shape[0]):
                y = row[i] * factor[i] + offset[i]
                target[i] = y if y > 0 else s * y


@njit(**COMPILE)
def _gradient_sums(
    begin: int, end: int, x: Any, factor: Any, offset: Any, mean: Any, slope: float, upstream: Any, sums: Any
) -> None:  # pragma: no cover - compiled
    """Sums of g and of g (x - mean), g the gradient before the LeakyReLU."""
    length, block = x.shape[1], factor.shape[0]
    s, one = np.float32(slope), np.float32(1)
    for p in range(begin, end):
        total, product = sums[p, 0], sums[p, 1]
        for start in range(0, length, block):
            row = x[p, start : min(start + block, length)]
            above = upstream[p, start : min(start + block, length)]
            for i in range(row.shape[0]):
                g = above[i] * (one if row[i] * factor[i] + offset[i] > 0 else s)
                total[i] += g
                product[i] += g * (row[i] - mean[i])


@njit(**COMPILE)
def _gradient(
    begin: int, end: int, x: Any, factor: Any, offset: Any, slope: float, upstream: Any, a: Any, b: Any, out: Any
) -> None:  # pragma: no cover - compiled
    """out = factor g + a x + b."""
    length, block = x.shape[1], factor.shape[0]
    s, one = np.float32(slope), np.float32(1)
    for p in range(begin, end):
        for start in range(0, length, block):
            row = x[p, start : min(start + block, length)]
            above = upstream[p, start : min(start + block, length)]
            target = out[p, start : min(start + block, length)]
            for i in range(row.shape[0]):
                g = above[i] * (one if row[i] * factor[i] + offset[i] > 0 else s)
                target[i] = factor[i] * g + (a[i] * row[i] + b[i])


def _repeated(values: NDArray[Any]) -> Floats:
    """(C,) as often as a block has voxels."""
    return np.tile(values.astype(np.float32), max(1, _BLOCK // len(values)))


def _gathered(sums: Floats, channels: int) -> Sums:
    """(planes, 2, block) to (2, C)."""
    return np.asarray(sums.sum(axis=0, dtype=np.float64).reshape(2, -1, channels).sum(axis=1))


def _line(mean: Sums, inverse: Sums, weight: Floats, bias: Floats) -> tuple[Floats, Floats]:
    """The norm as a straight line: factor and offset, repeated."""
    factor = weight * inverse
    return _repeated(factor), _repeated(bias - mean * factor)


def normalise(x: Floats, weight: Floats, bias: Floats, out: Floats, *, epsilon: float, slope: float) -> Sums:
    """The layer's value into `out`.

    Args:
        x, out: (planes, voxels · C) float32, contiguous: one item of a batch, channels last.
        weight, bias: (C,) γ and β.
        epsilon: added to the variance.
        slope: of the LeakyReLU below 0.

    Returns:
        (2, C): mean and 1 / sqrt(var + ε), which `gradients` needs.
    """
    planes, length = x.shape
    channels = len(weight)
    count = planes * length // channels
    middle = length // channels // 2 * channels
    shift = x[planes // 2, middle : middle + channels].astype(np.float64)  # the variance is no difference of large sums
    sums = np.zeros((planes, 2, len(_repeated(shift))), np.float32)
    run_ranges(_moments, planes, x, _repeated(shift), sums)
    first, second = _gathered(sums, channels) / count
    statistics = np.stack((shift + first, 1 / np.sqrt(np.maximum(second - first**2, 0) + epsilon)))
    run_ranges(_value, planes, x, *_line(statistics[0], statistics[1], weight, bias), slope, out)
    return statistics


def gradients(
    x: Floats, statistics: Sums, weight: Floats, bias: Floats, upstream: Floats, out: Floats, *, slope: float
) -> tuple[Sums, Sums]:
    """The gradient of Σ upstream · y with respect to x into `out`.

    Args:
        x, upstream, out: (planes, voxels · C).
        statistics: what `normalise` gave.
        weight, bias, slope: as for `normalise`.

    Returns:
        the gradients with respect to γ and β, (C,).
    """
    planes, length = x.shape
    channels = len(weight)
    count = planes * length // channels
    mean, inverse = statistics
    factor, offset = _line(mean, inverse, weight, bias)
    sums = np.zeros((planes, 2, len(factor)), np.float32)
    run_ranges(_gradient_sums, planes, x, factor, offset, _repeated(mean), slope, upstream, sums)
    to_bias, product = _gathered(sums, channels)
    to_weight = product * inverse
    a = -weight * inverse**2 * to_weight / count
    b = -weight * inverse * to_bias / count - mean * a
    run_ranges(_gradient, planes, x, factor, offset, slope, upstream, _repeated(a), _repeated(b), out)
    return to_weight, to_bias

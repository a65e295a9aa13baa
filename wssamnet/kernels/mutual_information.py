"""Joint histogram with linear sharing, mutual information, and its gradient."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from wssamnet.kernels.rows import COMPILE
from wssamnet.kernels.threads import run_ranges

SHARE = 1e-4  # of one voxel, added inside every logarithm: a bin that rounding alone fills or empties weighs nothing
_CHUNK = 1 << 16  # voxels; each chunk has a histogram of its own, so that the sums do not depend on the threads


@njit(**COMPILE)
def _limits(begin: int, end: int, a: Any, b: Any, mask: Any, chunk: int, limits: Any) -> None:  # pragma: no cover
    """Per chunk: smallest and largest counted a and b, into limits (chunks, 4)."""
    masked = mask.shape[0] > 0
    for part in range(begin, end):
        low_a, high_a, low_b, high_b = np.inf, -np.inf, np.inf, -np.inf
        for i in range(part * chunk, min((part + 1) * chunk, a.shape[0])):
            if (a[i] == 0 and b[i] == 0) or (masked and not mask[i]):
                continue
            low_a, high_a = min(low_a, a[i]), max(high_a, a[i])
            low_b, high_b = min(low_b, b[i]), max(high_b, b[i])
            if a[i] - a[i] != 0 or b[i] - b[i] != 0:  # NaN or infinite: comparisons would pass it over
                high_a = np.nan
                break
        limits[part, 0], limits[part, 1], limits[part, 2], limits[part, 3] = low_a, high_a, low_b, high_b


@njit(**COMPILE)
def _histogram(
    begin: int, end: int, a: Any, b: Any, mask: Any, chunk: int, bins: int, scales: Any, joint: Any
) -> None:  # pragma: no cover - compiled
    """Per chunk: the joint histogram, into joint (chunks, bins * bins)."""
    masked = mask.shape[0] > 0
    low_a, scale_a, low_b, scale_b = scales[0], scales[1], scales[2], scales[3]
    top = bins - 2
    for part in range(begin, end):
        counts = joint[part]
        for i in range(part * chunk, min((part + 1) * chunk, a.shape[0])):
            if (a[i] == 0 and b[i] == 0) or (masked and not mask[i]):
                continue
            s, t = (a[i] - low_a) * scale_a, (b[i] - low_b) * scale_b
            j, k = min(int(s), top), min(int(t), top)
            s, t = s - np.float32(j), t - np.float32(k)
            cell = j * bins + k
            both = s * t
            counts[cell] += 1 - s - t + both
            counts[cell + 1] += t - both
            counts[cell + bins] += s - both
            counts[cell + bins + 1] += both


@njit(**COMPILE)
def _gradient(
    begin: int, end: int, a: Any, b: Any, mask: Any, chunk: int, bins: int, scales: Any, logs: Any, out: Any
) -> None:  # pragma: no cover - compiled
    """out = scales[4] · Σ_j w_j(a) (L[j, k + 1] - L[j, k]), L the derivative of MI to p_jk; 0 where b is 0."""
    masked = mask.shape[0] > 0
    low_a, scale_a, low_b, scale_b, factor = scales[0], scales[1], scales[2], scales[3], scales[4]
    top = bins - 2
    zero = np.float32(0)
    for i in range(begin * chunk, min(end * chunk, a.shape[0])):
        if b[i] == 0 or (masked and not mask[i]):
            out[i] = zero
            continue
        s, t = (a[i] - low_a) * scale_a, (b[i] - low_b) * scale_b
        j, k = min(int(s), top), min(int(t), top)
        s -= np.float32(j)
        cell = j * bins + k
        lower, upper = logs[cell + 1] - logs[cell], logs[cell + bins + 1] - logs[cell + bins]
        out[i] = factor * (lower + s * (upper - lower))


def _logarithms(p: NDArray[np.float64], e: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """log((p + e) / (p_i + e)(p_j + e)), and the derivative of Σ p·that with respect to every p."""
    margins = p, p.sum(axis=1, keepdims=True), p.sum(axis=0, keepdims=True)
    logs = [np.log(q + e) for q in margins]
    slopes = [log + q / (q + e) for log, q in zip(logs, margins, strict=True)]
    return logs[0] - logs[1] - logs[2], slopes[0] - slopes[1] - slopes[2]


def mutual_information_of(
    a: NDArray[np.float32],
    b: NDArray[np.float32],
    mask: NDArray[np.bool_] | None,
    *,
    bins: int,
    gradients: tuple[NDArray[np.float32] | None, NDArray[np.float32] | None] = (None, None),
    scale: float = 1.0,
) -> float:
    """Mutual information of two lists of intensities, in nats; `losses.mutual_information` says what is counted.

    Args:
        a, b: (N,) float32, contiguous.
        mask: (N,), what may be counted; None for all.
        bins: of either axis.
        gradients: two (N,) arrays that receive `scale` times the gradient with respect to `a` and `b`, or None.
        scale: see `gradients`.

    Returns:
        MI, not scaled; NaN where an image is not finite. The same bits for any number of threads.
    """
    chunks = -(-len(a) // _CHUNK)
    chosen = np.empty(0, dtype=np.bool_) if mask is None else mask
    limits = np.empty((chunks, 4), dtype=np.float32)
    run_ranges(_limits, chunks, a, b, chosen, _CHUNK, limits, parts=4)
    low, high = limits[:, 0::2].min(axis=0), limits[:, 1::2].max(axis=0)
    finite = bool(np.isfinite(low).all() and np.isfinite(high).all())
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        steps = (bins - 1) / (high - low)
    # a constant image, or a range that float32 cannot divide into bins: no cell could be found
    if not finite or not (np.isfinite(steps) & (steps > 0)).all():
        for gradient in gradients:
            if gradient is not None:
                gradient.fill(0)
        return float("nan") if np.isnan(high).any() else 0.0
    scales = np.array([low[0], steps[0], low[1], steps[1], 0], dtype=np.float32)
    joint = np.zeros((chunks, bins * bins), dtype=np.float64)
    run_ranges(_histogram, chunks, a, b, chosen, _CHUNK, bins, scales, joint, parts=4)
    counts = joint.sum(axis=0).reshape(bins, bins)
    total = counts.sum()
    p = counts / total
    logs, slopes = _logarithms(p, SHARE / total)
    for order, gradient in zip((0, 1), gradients, strict=True):
        if gradient is None:
            continue
        first, second = (a, b) if order else (b, a)
        table = slopes if order else slopes.T
        mine = scales if order else scales[[2, 3, 0, 1, 4]]
        mine[4] = scale * steps[order] / total
        flat = np.ascontiguousarray(table, dtype=np.float32).ravel()
        run_ranges(_gradient, chunks, first, second, chosen, _CHUNK, bins, mine, flat, gradient, parts=4)
    return float((p * logs).sum())

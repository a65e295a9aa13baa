"""Similarity of two coarse scans: local correlation with its gradient, and two independent judges."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_gradient_magnitude, uniform_filter

_FLOOR = 1e-4  # variance of images in [0, 1] below which a window says nothing (noise of 1 %)


class LocalCorrelation:
    """Squared local correlation with a fixed image, and its exact gradient.

    For windows w of a box filter E: c = E[fm] - E[f]E[m], S = Σ_w weight c² / (v_f v_m) with the
    variances v floored. dS/dm follows by the filter's symmetry.

    Args:
        fixed: (X, Y, Z) float32.
        weight: (X, Y, Z), of the window around each voxel; scaled to sum 1.
        window: edge in voxels, odd.
    """

    def __init__(self, fixed: NDArray[np.float32], weight: NDArray[Any], window: int) -> None:
        self._window = window
        self._fixed = fixed.astype(np.float64)
        self._mean = self._box(self._fixed)
        variance = self._box(self._fixed**2) - self._mean**2 + _FLOOR
        self._weight = weight / (weight.sum() * variance)

    def _box(self, image: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(uniform_filter(image, self._window, mode="constant"))

    def __call__(self, moving: NDArray[Any]) -> tuple[float, NDArray[np.float64]]:
        """The similarity in [0, 1] and its gradient (X, Y, Z) with respect to `moving`."""
        m = np.asarray(moving, dtype=np.float64)
        mean = self._box(m)
        variance = self._box(m * m) - mean * mean + _FLOOR
        covariance = self._box(self._fixed * m) - self._mean * mean
        a = 2 * self._weight * covariance / variance
        b = a * covariance / variance
        value = float((a * covariance).sum() / 2)
        gradient = self._fixed * self._box(a) - m * self._box(b) + self._box(b * mean - a * self._mean)
        return value, gradient


def mutual_information(a: NDArray[Any], b: NDArray[Any], *, bins: int = 32) -> float:
    """Mutual information (nats) of two samples of intensities in [0, 1]; linear binning of both."""
    joint = np.zeros((bins, bins))
    x, y = (np.clip(v, 0, 1) * (bins - 1.001) for v in (a, b))
    i, j = x.astype(int), y.astype(int)
    u, v = x - i, y - j
    for di, wi in ((0, 1 - u), (1, u)):
        for dj, wj in ((0, 1 - v), (1, v)):
            joint += np.bincount((i + di) * bins + j + dj, wi * wj, minlength=bins * bins).reshape(bins, bins)
    p = joint / joint.sum()
    outer = p.sum(axis=1, keepdims=True) * p.sum(axis=0, keepdims=True)
    some = p > 0
    return float((p[some] * np.log(p[some] / outer[some])).sum())


def edge_correlation(a: NDArray[Any], b: NDArray[Any], where: NDArray[np.bool_]) -> float:
    """Correlation of the two images' gradient magnitudes inside `where`; 0 where one has no edges at all."""
    edges = [gaussian_gradient_magnitude(np.asarray(image, dtype=np.float64), 1.0)[where] for image in (a, b)]
    return float(np.corrcoef(edges[0], edges[1])[0, 1]) if all(np.ptp(edge) for edge in edges) else 0.0

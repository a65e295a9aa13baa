"""Search of the 12-parameter map that maximises the local correlation of two coarse scans."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation
from scipy.optimize import minimize
from scipy.spatial.transform import Rotation

from wssamnet.fields import AffineMap
from wssamnet.geometry import Array, Frame
from wssamnet.kernels.sampling import sample
from wssamnet.preprocessing.coarse import Coarse
from wssamnet.preprocessing.similarity import LocalCorrelation

_RADIUS_MM = 50.0  # a matrix entry changed by 1/50 moves the brain by about 1 mm: all parameters in mm
_WINDOW = 5


class Objective:
    """Mean local correlation over the channels as a function of the matrix.

    Args:
        fixed, moving: coarse scans with the same channels.
        centre: (3,) LPS mm; the map is x → centre + t + A (x - centre).
    """

    def __init__(self, fixed: Coarse, moving: Coarse, centre: Array) -> None:
        self.centre = centre
        self._shape = fixed.grid.shape
        index = np.stack(np.meshgrid(*[np.arange(n) for n in self._shape], indexing="ij"), axis=-1).reshape(-1, 3)
        points = fixed.grid.convert(index, Frame.IJK, Frame.LPS) - centre
        self._points = np.concatenate([points, np.ones((len(points), 1))], axis=1)
        self._to_index = moving.grid.matrix(Frame.LPS, Frame.IJK)
        weight = binary_dilation(fixed.brain > 0.5, iterations=1)
        self._correlations = [LocalCorrelation(channel, weight, _WINDOW) for channel in fixed.channels]
        ijk_per_mm = self._to_index[:3, :3]
        layers = []
        for channel in moving.channels:
            slope = np.stack(np.gradient(channel), axis=-1) @ ijk_per_mm
            layers.append(np.concatenate([channel[..., None], slope], axis=-1))
        self._values = np.ascontiguousarray(np.concatenate(layers, axis=-1), dtype=np.float32)

    def moved(self, matrix: Array) -> NDArray[np.float32]:
        """Channels and slopes of the moving scan at the mapped points: (N, C, 4)."""
        world = self._points @ matrix[:3].T + self.centre
        found = sample(self._values, world, matrix=self._to_index, outside="zero")
        return np.asarray(found.reshape(len(world), -1, 4))

    def __call__(self, matrix: Array) -> tuple[float, Array]:
        """Similarity and its gradient (3, 4) with respect to [A t]."""
        moved = self.moved(matrix)
        value, gradient = 0.0, np.zeros((3, 4))
        for number, correlation in enumerate(self._correlations):
            part, slope = correlation(moved[:, number, 0].reshape(self._shape))
            value += part
            gradient += (slope.reshape(-1, 1) * moved[:, number, 1:]).T @ self._points
        count = len(self._correlations)
        return value / count, gradient / count


def _rigid(p: Array) -> Array:
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_rotvec(p[:3] / _RADIUS_MM).as_matrix()
    matrix[:3, 3] = p[3:]
    return matrix


def _affine(p: Array) -> Array:
    matrix = np.eye(4)
    matrix[:3, :3] += p[:9].reshape(3, 3) / _RADIUS_MM
    matrix[:3, 3] = p[9:]
    return matrix


@dataclass(frozen=True, eq=False)
class Found:
    """A matrix about the centre and its similarity."""

    matrix: Array
    similarity: float


def _maximise(objective: Objective, start: Array, build: Any, iterations: int) -> Found:
    """L-BFGS over parameters in mm; `build` makes the matrix of them and is linear or nearly so."""

    def loss(p: Array) -> tuple[float, Array]:
        matrix = build(p)
        value, gradient = objective(matrix)
        step = 1e-4
        slope = [float((gradient * (build(p + step * unit) - matrix)[:3]).sum() / step) for unit in np.eye(len(p))]
        return -value, -np.array(slope)

    result = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": iterations, "ftol": 1e-6})
    return Found(build(result.x), -float(result.fun))


def rigid_search(objective: Objective, translation: Array, iterations: int = 30) -> Found:
    """Best rigid map from a starting translation (3,) mm."""
    return _maximise(objective, np.concatenate([np.zeros(3), translation]), _rigid, iterations)


def affine_search(objective: Objective, start: Array, iterations: int = 30) -> Found:
    """Best affine map from a starting matrix (4, 4) about the centre."""
    p = np.concatenate([((start[:3, :3] - np.eye(3)) * _RADIUS_MM).ravel(), start[:3, 3]])
    return _maximise(objective, p, _affine, iterations)


def about(centre: Array, matrix: Array) -> AffineMap:
    """The map x → centre + t + A (x - centre) as one matrix in LPS mm."""
    full = matrix.copy()
    full[:3, 3] = centre + matrix[:3, 3] - matrix[:3, :3] @ centre
    return AffineMap(full)

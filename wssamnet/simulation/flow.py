"""Diffeomorphisms that are exact time-one flows of stationary velocity fields, and their inverses.

Each model is a velocity whose flow has a closed form, so that points, images and the truth field
are mapped without any error of integration, and the inverse is the flow of the negated velocity:

ShearFlow    Fourier mode v(x) = a sin(k·x + φ) with a ⊥ k: k·x is constant along the flow.
VortexFlow   radial basis v(x) = w(|x-c|) ω × (x-c): |x-c| is constant along the flow.
RadialFlow   a growing or collapsing mass: straight rays out of a centre, decaying as 1/r².

None of them is a displacement sampled on a grid, which is what the registration methods optimise.
All points are LPS mm.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import wrightomega

from wssamnet.geometry import Array

_SLAB = 1 << 15  # points taken through a whole chain at once, so that they stay in the cache


class Flow(Protocol):
    """A map of points with an exact inverse."""

    def __call__(self, points: ArrayLike) -> Array:
        """Map (N, 3) LPS mm points to (N, 3) LPS mm points."""
        ...

    def inverse(self) -> Flow:
        """The inverse map."""
        ...


def _length(vectors: Array) -> Array:
    x, y, z = vectors.T
    return np.asarray(np.sqrt(x * x + y * y + z * z))


@dataclass(frozen=True, eq=False)
class LinearFlow:
    """p → matrix (p - centre) + target.

    Written out by components: a matrix product would leave the last bit to the number of threads.

    Args:
        matrix: (3, 3).
        centre, target: (3,), LPS mm.
    """

    matrix: Array
    centre: Array
    target: Array

    def __call__(self, points: ArrayLike) -> Array:
        x, y, z = (np.asarray(points, dtype=np.float64) - self.centre).T
        rows = [m[0] * x + m[1] * y + m[2] * z + t for m, t in zip(self.matrix, self.target, strict=True)]
        return np.stack(rows, axis=-1)

    def inverse(self) -> LinearFlow:
        return LinearFlow(np.asarray(np.linalg.inv(self.matrix)), self.target, self.centre)


@dataclass(frozen=True, eq=False)
class ShearFlow:
    """x → x + a sin(k·x + φ), a ⊥ k: diffeomorphic and volume-preserving at any amplitude.

    Args:
        amplitude: (3,) a, mm.
        wave: (3,) k, rad/mm, orthogonal to a.
        phase: φ, rad.
    """

    amplitude: Array
    wave: Array
    phase: float

    def __call__(self, points: ArrayLike) -> Array:
        p = np.asarray(points, dtype=np.float64)
        k = self.wave
        height = np.sin(k[0] * p[:, 0] + k[1] * p[:, 1] + k[2] * p[:, 2] + self.phase)
        return np.asarray(p + height[:, None] * self.amplitude)

    def inverse(self) -> ShearFlow:
        return ShearFlow(-self.amplitude, self.wave, self.phase)


def wendland(q: Array) -> Array:
    """Wendland's C2 radial basis (1 - q)⁴ (4q + 1) on 0 <= q <= 1, 0 beyond."""
    return np.asarray(np.clip(1 - q, 0, None) ** 4 * (4 * q + 1))


VORTEX_PEAK = 0.1596  # largest value of q·wendland(q): peak displacement per radius and radian


@dataclass(frozen=True, eq=False)
class VortexFlow:
    """A rotation about `centre` whose angle fades to nothing at `radius`.

    Args:
        centre: (3,), LPS mm.
        rotation: (3,), axis times the angle at the centre, rad.
        radius: mm.
    """

    centre: Array
    rotation: Array
    radius: float

    def __call__(self, points: ArrayLike) -> Array:
        p = np.array(points, dtype=np.float64)
        offset = p - self.centre
        q = _length(offset) / self.radius
        near = np.flatnonzero(q < 1)
        offset = offset[near]
        turn = float(np.linalg.norm(self.rotation))
        axis = self.rotation / turn
        angle = turn * wendland(q[near])
        along = axis[0] * offset[:, 0] + axis[1] * offset[:, 1] + axis[2] * offset[:, 2]
        sine, versine = np.sin(angle)[:, None], (1 - np.cos(angle))[:, None]
        # Rodrigues: the change of the offset under a rotation about `axis`
        p[near] += sine * np.cross(axis, offset) + versine * (along[:, None] * axis - offset)
        return p

    def inverse(self) -> VortexFlow:
        return VortexFlow(self.centre, -self.rotation, self.radius)


@dataclass(frozen=True, eq=False)
class Directional:
    """A smooth random function of direction: exp(strength Σ sin(f·u + φ) / sqrt(n) + lean·u).

    Args:
        waves: (n, 3) f.
        phases: (n,) φ, rad.
        strength: of the random part; 0 for none.
        lean: (3,), larger towards this direction.
    """

    waves: Array
    phases: Array
    strength: float
    lean: Array

    def __call__(self, directions: Array) -> Array:
        """(N, 3) unit vectors to (N,) positive factors."""
        total = np.zeros(len(directions))
        for wave, phase in zip(self.waves, self.phases, strict=True):
            turn = wave[0] * directions[:, 0] + wave[1] * directions[:, 1] + wave[2] * directions[:, 2]
            total += np.sin(turn + phase)
        lean = self.lean[0] * directions[:, 0] + self.lean[1] * directions[:, 1] + self.lean[2] * directions[:, 2]
        return np.asarray(np.exp(self.strength * total / np.sqrt(max(len(self.phases), 1)) + lean))

    @classmethod
    def random(
        cls, rng: np.random.Generator, strength: float, *, frequency: float = 2.5, lean: ArrayLike = (0, 0, 0)
    ) -> Self:
        """Draw one; a larger `frequency` gives a lumpier shape."""
        waves, phases = rng.normal(size=(6, 3)) * frequency, rng.uniform(0, 2 * np.pi, 6)
        return cls(waves, phases, strength, np.asarray(lean, dtype=np.float64))


@dataclass(frozen=True, eq=False)
class RadialFlow:
    """The mass effect of something that grows (or shrinks) about a centre.

    In y = stretch (x - centre), each point moves on its ray: dr/dt = γ(u)/3 · r r0³ / (r³ + r0³),
    which is linear in r well inside r0 and an incompressible source, ∝ 1/r², outside. With
    s = (r / r0)³ this is d(s + ln s)/dt = γ, so the time-one flow is s → ω(s + ln s + γ),
    ω being the Wright function.

    Args:
        centre: (3,), LPS mm.
        stretch: (3, 3), determinant 1: the anisotropy.
        core: r0, mm.
        growth: γ, dimensionless; negative shrinks.
        shape: factor on γ by direction u.
    """

    centre: Array
    stretch: Array
    core: float
    growth: float
    shape: Directional

    def polar(self, points: ArrayLike) -> tuple[Array, Array]:
        """(N,) stretched radii in mm and (N, 3) unit directions of points."""
        y = LinearFlow(self.stretch, self.centre, np.zeros(3))(points)
        r = np.maximum(_length(y), 1e-6)
        return r, y / r[:, None]

    def radius(self, r: Array, directions: Array) -> Array:
        """Where the flow takes radius r along the given directions; (N,) mm."""
        s = (r / self.core) ** 3
        return np.asarray(self.core * np.cbrt(wrightomega(s + np.log(s) + self.growth * self.shape(directions))))

    def __call__(self, points: ArrayLike) -> Array:
        p = np.asarray(points, dtype=np.float64)
        r, u = self.polar(p)
        return p + (p - self.centre) * (self.radius(r, u) / r - 1)[:, None]

    def inverse(self) -> RadialFlow:
        return RadialFlow(self.centre, self.stretch, self.core, -self.growth, self.shape)


def growth_between(core: float, start: float, end: float) -> float:
    """The growth γ of a RadialFlow that takes radius `start` to radius `end` (all mm)."""
    a, b = (start / core) ** 3, (end / core) ** 3
    return float(b - a + np.log(b / a))


@dataclass(frozen=True, eq=False)
class FlowChain:
    """Flows applied one after the other, the first in the list first."""

    flows: tuple[Flow, ...]

    def __call__(self, points: ArrayLike) -> Array:
        p = np.asarray(points, dtype=np.float64)
        out = np.empty_like(p)
        for start in range(0, len(p), _SLAB):
            slab = p[start : start + _SLAB]
            for flow in self.flows:
                slab = flow(slab)
            out[start : start + _SLAB] = slab
        return out

    def inverse(self) -> FlowChain:
        return FlowChain(tuple(flow.inverse() for flow in reversed(self.flows)))


def unit_vectors(rng: np.random.Generator, count: int) -> NDArray[np.float64]:
    """(count, 3) directions, uniform on the sphere."""
    v = rng.normal(size=(count, 3))
    return np.asarray(v / np.linalg.norm(v, axis=1, keepdims=True))


def random_shears(
    rng: np.random.Generator, count: int, wavelengths: tuple[float, float], rms: float
) -> tuple[ShearFlow, ...]:
    """Shears whose summed displacement has about the given root mean square length.

    Args:
        wavelengths: shortest and longest, mm; drawn log-uniformly, amplitudes in proportion.
        rms: mm.
    """
    shortest, longest = np.log(wavelengths)
    length = np.exp(rng.uniform(shortest, longest, count))
    waves = unit_vectors(rng, count)
    across = np.cross(waves, unit_vectors(rng, count))
    across /= np.linalg.norm(across, axis=1, keepdims=True)
    size = length * rng.uniform(0.5, 1.5, count)
    size *= rms * np.sqrt(2 / (size**2).sum())
    phases = rng.uniform(0, 2 * np.pi, count)
    return tuple(
        ShearFlow(a * d, k * (2 * np.pi / w), float(f))
        for a, d, k, w, f in zip(size, across, waves, length, phases, strict=True)
    )


def random_vortices(
    rng: np.random.Generator, centres: Array, radii: tuple[float, float], peak: float
) -> tuple[VortexFlow, ...]:
    """One vortex a centre, with peak displacements drawn around `peak` mm.

    The turn at the centre is held below 0.6 rad, so that anatomy stays recognisable.
    """
    radius = rng.uniform(radii[0], radii[1], len(centres))
    size = peak * rng.uniform(0.4, 1.4, len(centres))
    angle = np.minimum(size / (VORTEX_PEAK * radius), 0.6)
    axes = unit_vectors(rng, len(centres))
    return tuple(VortexFlow(c, a * t, float(r)) for c, a, t, r in zip(centres, axes, angle, radius, strict=True))

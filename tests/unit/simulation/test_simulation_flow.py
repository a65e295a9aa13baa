"""Closed-form flows: inverses, known values, agreement with an integrated velocity."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from wssamnet.geometry import Array
from wssamnet.simulation.flow import (
    VORTEX_PEAK,
    Directional,
    Flow,
    FlowChain,
    LinearFlow,
    RadialFlow,
    ShearFlow,
    VortexFlow,
    growth_between,
    random_shears,
    random_vortices,
    wendland,
)

CENTRE = np.array([100.0, -110.0, 70.0])


def points(count: int = 3000) -> Array:
    return CENTRE + np.random.default_rng(3).uniform(-60, 60, (count, 3))


def radial(growth: float, strength: float = 0.3) -> RadialFlow:
    stretch = np.diag([1.2, 0.9, 1 / (1.2 * 0.9)])
    shape = Directional.random(np.random.default_rng(5), strength, lean=(0.4, 0, 0))
    return RadialFlow(CENTRE, stretch, 15.0, growth, shape)


def flows() -> dict[str, Flow]:
    rng = np.random.default_rng(1)
    turn = Rotation.from_euler("xyz", [3, -5, 2], degrees=True).as_matrix() * 0.97
    return {
        "linear": LinearFlow(turn, CENTRE, CENTRE + 2),
        "shears": FlowChain(random_shears(rng, 6, (40, 100), 4.0)),
        "vortices": FlowChain(random_vortices(rng, CENTRE + rng.normal(0, 20, (4, 3)), (25, 50), 5.0)),
        "growing": radial(4.0),
        "shrinking": radial(-1.5),
    }


@pytest.mark.parametrize("name", sorted(flows()))
def test_inverse_is_exact_both_ways(name: str) -> None:
    flow, p = flows()[name], points()
    np.testing.assert_allclose(flow.inverse()(flow(p)), p, atol=1e-6)
    np.testing.assert_allclose(flow(flow.inverse()(p)), p, atol=1e-6)
    assert np.abs(flow(p) - p).max() > 1


@pytest.mark.parametrize("name", sorted(flows()))
def test_no_flow_folds(name: str) -> None:
    flow, p, h = flows()[name], points(), 1e-3
    columns = [(flow(p + h * e) - flow(p - h * e)) / (2 * h) for e in np.eye(3)]
    determinant = np.linalg.det(np.stack(columns, axis=-1))
    assert determinant.min() > 0
    if name in ("shears", "vortices"):
        np.testing.assert_allclose(determinant, 1, atol=1e-4)


def integrate(velocity: object, p: Array, steps: int = 400) -> Array:
    """Runge-Kutta: an oracle independent of the closed forms."""
    assert callable(velocity)
    h = 1 / steps
    for _ in range(steps):
        k1 = velocity(p)
        k2 = velocity(p + h / 2 * k1)
        k3 = velocity(p + h / 2 * k2)
        p = p + h / 6 * (k1 + 2 * k2 + 2 * k3 + velocity(p + h * k3))
    return p


def test_shear_is_the_flow_of_a_fourier_mode() -> None:
    flow, p = ShearFlow(np.array([3.0, 0, 0]), np.array([0, 0.1, 0.05]), 0.4), points(50)
    velocity = lambda x: np.sin(x @ flow.wave + flow.phase)[:, None] * flow.amplitude  # noqa: E731
    np.testing.assert_allclose(flow(p), integrate(velocity, p, 20), atol=1e-9)


def test_vortex_is_the_flow_of_a_radial_basis() -> None:
    flow, p = VortexFlow(CENTRE, np.array([0.2, -0.4, 0.3]), 50.0), points(50)

    def velocity(x: Array) -> Array:
        offset = x - CENTRE
        return wendland(np.linalg.norm(offset, axis=1) / 50)[:, None] * np.cross(flow.rotation, offset)

    np.testing.assert_allclose(flow(p), integrate(velocity, p, 60), atol=1e-6)
    q = np.linspace(0, 1, 2001)
    assert (q * wendland(q)).max() == pytest.approx(VORTEX_PEAK, rel=1e-3)


def test_radial_is_the_flow_of_a_mass_effect() -> None:
    flow, p = radial(4.0), points(50)

    def velocity(x: Array) -> Array:
        r, u = flow.polar(x)
        core = flow.core**3
        rate = flow.growth * flow.shape(u) / 3 * core / (r**3 + core)
        return (x - CENTRE) * rate[:, None]

    np.testing.assert_allclose(flow(p), integrate(velocity, p), atol=1e-5)


def test_mass_effect_reaches_the_wanted_radius_and_decays_with_the_square() -> None:
    none = Directional(np.zeros((0, 3)), np.zeros(0), 0.0, np.zeros(3))
    flow = RadialFlow(np.zeros(3), np.eye(3), 12.0, growth_between(12, 10, 20), none)
    r = np.array([10.0, 40.0, 80.0, 160.0])
    moved = flow(np.outer(r, [0.6, 0, 0.8]))
    pushed = np.linalg.norm(moved, axis=1) - r
    assert pushed[0] == pytest.approx(10, abs=1e-9)
    assert (np.diff(pushed) < 0).all()
    assert pushed[2] / pushed[3] == pytest.approx(4, rel=0.05)


def test_random_shears_have_the_wanted_size() -> None:
    chain = FlowChain(random_shears(np.random.default_rng(0), 12, (30, 80), 5.0))
    p = points(20000)
    assert np.sqrt(((chain(p) - p) ** 2).sum(axis=1).mean()) == pytest.approx(5, rel=0.15)

from __future__ import annotations

from typing import Literal

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from neurite.nn.modules import SpatialGradient
from torch import Tensor
from wssamnet.losses import smoothness

Kind = Literal["l2", "l1", "bending"]


def ramp(matrix: Tensor, shape: tuple[int, int, int] = (6, 7, 5)) -> Tensor:
    """u(x) = matrix x."""
    x = torch.stack(torch.meshgrid(*[torch.arange(float(n)) for n in shape], indexing="ij"))
    return torch.einsum("ab,bxyz->axyz", matrix, x)[None]


def test_known_numbers() -> None:
    matrix = torch.tensor([[0.5, 0.0, 0.0], [0.0, 0.0, -2.0], [0.0, 0.0, 0.0]])
    u = ramp(matrix)
    assert smoothness(u, kind="l2").item() == pytest.approx((0.25 + 4) / 9)
    assert smoothness(u, kind="l1").item() == pytest.approx(2.5 / 9)
    assert smoothness(u, kind="bending").item() == pytest.approx(0, abs=1e-10)
    x = torch.arange(6.0).view(1, 1, 6, 1, 1).expand(1, 3, 6, 6, 6)
    assert smoothness(x**2, kind="bending").item() == pytest.approx(4)  # (x²)'' = 2
    y = torch.arange(6.0).view(1, 1, 1, 6, 1)
    assert smoothness(x * y, kind="bending").item() == pytest.approx(2)  # mixed derivative 1, counted twice
    # component 1 varies along z: mm of y per mm of z
    assert smoothness(u, kind="l1", spacing=(1, 3, 2)).item() == pytest.approx((0.5 + 2 * 3 / 2) / 9)


def test_equals_voxelmorph() -> None:
    u = torch.randn(2, 3, 5, 6, 7)
    for kind in ("l2", "l1"):
        theirs = SpatialGradient(kind)(u).item()
        assert smoothness(u, kind=kind).item() == pytest.approx(theirs, rel=1e-5)  # type: ignore[arg-type]


@settings(max_examples=40, deadline=None)
@given(
    st.tuples(st.integers(1, 3), st.just(3), *[st.integers(1, 9)] * 3),
    st.sampled_from(["l2", "l1", "bending"]),
    st.one_of(st.none(), st.tuples(*[st.floats(0.5, 4)] * 3)),
    st.integers(0, 10**6),
)
def test_kernel_and_reference_agree(
    shape: tuple[int, ...], kind: Kind, spacing: tuple[float, ...] | None, seed: int
) -> None:
    u = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
    results = []
    for dtype in (torch.float32, torch.float64):
        leaf = u.to(dtype).requires_grad_()
        loss = smoothness(leaf, kind=kind, spacing=spacing)
        results.append((loss.detach().double(), torch.autograd.grad(loss, leaf)[0].double()))
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("kind", ["l2", "l1", "bending"])
def test_reference_passes_gradcheck(kind: Kind) -> None:
    u = torch.randn(1, 3, 4, 3, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda v: smoothness(v, kind=kind, spacing=(1, 2, 1.5)), u)


def test_layouts_and_precisions() -> None:
    u = torch.randn(2, 3, 5, 6, 7)
    last = u.to(memory_format=torch.channels_last_3d).requires_grad_()
    loss = smoothness(last)
    torch.testing.assert_close(loss, smoothness(u))
    assert torch.autograd.grad(loss, last)[0].shape == u.shape
    assert smoothness(u.half()).dtype == torch.float32


def test_says_what_is_wrong() -> None:
    with pytest.raises(ValueError, match="three components"):
        smoothness(torch.zeros(1, 2, 4, 4, 4))
    with pytest.raises(ValueError, match="kind must be 'l2', 'l1' or 'bending', not 'l3'"):
        smoothness(torch.zeros(1, 3, 4, 4, 4), kind="l3")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="spacing must be three positive numbers"):
        smoothness(torch.zeros(1, 3, 4, 4, 4), spacing=(1, 1))

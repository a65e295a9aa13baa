"""Fused instance norm and LeakyReLU against torch's own two steps."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from wssamnet.models.normalisation import normalise, normalise_reference


@settings(max_examples=30, deadline=None)
@given(
    shape=st.tuples(*[st.integers(1, 9)] * 3).filter(lambda shape: shape[0] * shape[1] * shape[2] > 1),
    batch=st.integers(1, 3),
    channels=st.integers(1, 20),
    mean=st.sampled_from([0.0, 5.0]),
    seed=st.integers(0, 1000),
)
def test_agrees_with_torch_in_value_and_gradients(
    shape: tuple[int, int, int], batch: int, channels: int, mean: float, seed: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    x = mean + torch.randn(batch, channels, *shape, generator=generator)
    weight, bias = torch.randn(2, channels, generator=generator)
    upstream = torch.randn(batch, channels, *shape, generator=generator)
    found = []
    for function, dtype in ((normalise, torch.float32), (normalise_reference, torch.float64)):
        image = x.to(dtype, memory_format=torch.channels_last_3d).requires_grad_()
        inputs = (image, weight.to(dtype).requires_grad_(), bias.to(dtype).requires_grad_())
        value = function(*inputs, epsilon=1e-2, slope=0.1)
        found.append((value, *torch.autograd.grad(value, inputs, upstream.to(dtype))))
    value, theirs = (result[0].double() for result in found)
    torch.testing.assert_close(value, theirs, atol=1e-4, rtol=1e-4)
    if (theirs.abs() > 1e-4).all():  # on the bend of the LeakyReLU the slope is anyone's
        for ours, wanted in zip(found[0][1:], found[1][1:], strict=True):
            torch.testing.assert_close(ours.double(), wanted, atol=2e-3, rtol=1e-3)


def test_a_far_mean_costs_no_digits() -> None:
    x = (1000 + torch.randn(1, 3, 12, 11, 10)).to(memory_format=torch.channels_last_3d)
    ones, zeros = torch.ones(3), torch.zeros(3)
    value = normalise(x, ones, zeros, epsilon=1e-5, slope=1.0)
    assert value.mean(dim=(0, 2, 3, 4)).abs().max() < 1e-3
    torch.testing.assert_close(value.var(dim=(0, 2, 3, 4), unbiased=False), ones, atol=1e-3, rtol=0)


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_the_same_bits_for_any_number_of_threads(threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    x = torch.randn(2, 8, 13, 9, 7).to(memory_format=torch.channels_last_3d).requires_grad_()
    weight, bias = torch.rand(2, 8)
    results = []
    for count in (1, threads):
        monkeypatch.setattr("wssamnet.kernels.threads.thread_count", lambda count=count: count)
        value = normalise(x, weight, bias, epsilon=1e-5, slope=0.1)
        results.append((value, *torch.autograd.grad(value.square().sum(), x)))
    for one, many in zip(*results, strict=True):
        assert torch.equal(one, many)

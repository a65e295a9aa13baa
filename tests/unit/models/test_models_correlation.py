"""The correlation volume: its kernel against plain torch, and the shifts it finds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from scipy.ndimage import uniform_filter
from wssamnet.kernels.correlation import correlate_shifts, expected_shift, pad
from wssamnet.models.correlation import CorrelationHints, correlate_reference, normalise_locally, shifts


def texture(*shape: int) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("radius", [1, 2])
@pytest.mark.parametrize("shape", [(1, 8, 10, 6), (2, 4, 2, 8)])
def test_the_kernel_agrees_with_plain_torch(radius: int, shape: tuple[int, ...]) -> None:
    fixed, moving = texture(2, *shape) - 0.5
    wanted = correlate_reference(fixed[None], moving[None], radius)[0]
    padded = pad(moving.numpy(), radius)
    found = correlate_shifts(fixed.numpy(), padded, radius, range(shape[1] // 2))
    np.testing.assert_allclose(found, wanted.numpy(), atol=1e-6)
    part = correlate_shifts(fixed.numpy(), padded, radius, range(1, 2))
    np.testing.assert_array_equal(part, found[:, 1:2])


@pytest.mark.parametrize("batch", [1, 2])
def test_without_gradients_the_volume_is_never_there_whole(batch: int, monkeypatch: pytest.MonkeyPatch) -> None:
    hints = CorrelationHints(1, 4)
    fixed, moving = texture(2, batch, 2, 14, 8, 10)
    whole = hints(fixed, moving)
    asked: list[int] = []

    def spied(*arguments: Any) -> Any:
        asked.append(len(arguments[-1]))
        return correlate_shifts(*arguments)

    monkeypatch.setattr("wssamnet.models.correlation.correlate_shifts", spied)
    monkeypatch.setattr("wssamnet.models.correlation._PLANES", 3)
    with torch.inference_mode():
        torch.testing.assert_close(hints(fixed, moving), whole.detach())
    assert max(asked) == 3
    assert sum(asked) == 7 * batch


def test_a_shift_is_where_the_volume_peaks() -> None:
    moving = texture(1, 1, 24, 20, 22)
    fixed = torch.roll(moving, (-1, 2, 0), (2, 3, 4))  # fixed(x) = moving(x + (1, -2, 0))
    volume = correlate_reference(normalise_locally(fixed), normalise_locally(moving), 2)
    peaks = shifts(2)[volume.argmax(dim=1)][0, 3:-3, 3:-3, 3:-3].reshape(-1, 3)
    assert (peaks == torch.tensor([1.0, -2.0, 0.0])).all()


def test_the_expected_shift_is_in_half_resolution_voxels() -> None:
    hints = CorrelationHints(2, 4)
    moving = texture(1, 1, 24, 20, 22)
    fixed = torch.roll(moving, (-2, 0, 0), (2, 3, 4))
    out = hints(fixed, moving)
    assert out.shape == (1, 7, 12, 10, 11)
    assert out[0, 4:, 3:-3, 3:-3, 3:-3].mean(dim=(1, 2, 3)).tolist() == pytest.approx([1, 0, 0], abs=0.1)
    out.sum().backward()
    assert hints.condense.grad is not None


def test_the_search_works_in_double_precision() -> None:
    """For gradcheck, and for whoever trains in it."""
    hints = CorrelationHints(1, 4)
    fixed, moving = texture(2, 1, 1, 12, 10, 8)
    single = hints(fixed, moving)
    double = hints.double()(fixed.double(), moving.double())
    assert double.dtype == torch.float64
    torch.testing.assert_close(double.float(), single, atol=1e-4, rtol=1e-4)


def test_local_normalisation_agrees_with_scipy_and_forgets_contrast() -> None:
    image = texture(1, 1, 12, 11, 10)
    array = image[0, 0].double().numpy()
    mean = uniform_filter(array, 5, mode="constant")
    variance = uniform_filter(array**2, 5, mode="constant") - mean**2
    np.testing.assert_allclose(normalise_locally(image)[0, 0], (array - mean) / np.sqrt(variance + 1e-3), atol=1e-4)
    inside = (slice(None), slice(None), *[slice(2, -2)] * 3)
    brighter = normalise_locally(0.7 * image + 0.2)
    torch.testing.assert_close(brighter[inside], normalise_locally(image)[inside], atol=0.02, rtol=0)


@pytest.mark.parametrize(("radius", "places"), [(1, 3), (2, 1500)])
def test_the_expected_shift_of_the_kernel_agrees_with_a_softmax(radius: int, places: int) -> None:
    volume = 8 * texture((2 * radius + 1) ** 3, places) - 4
    found = expected_shift(volume.numpy(), radius, 10.0)
    wanted = shifts(radius).double().T @ torch.softmax(10 * volume.double(), dim=0)
    np.testing.assert_allclose(found, wanted.numpy(), atol=5e-6)
    assert np.isnan(expected_shift(np.full_like(volume.numpy(), np.nan), radius, 10.0)).all()


def test_the_expected_shift_is_a_softmax_however_well_a_place_fits() -> None:
    spikes = torch.zeros(1, 1, 24, 20, 108)
    spikes[..., 2::5, 2::5, 2::5] = 1  # as unlike noise as can be: nothing is correlated more
    for image in (spikes, torch.rand(spikes.shape)):
        f = normalise_locally(image)
        volume = correlate_reference(f, f, 1)
        assert volume.max() < 5
        found = CorrelationHints(1, 2)(image, image)[:, 2:]
        weights = torch.softmax(10 * volume.double(), dim=1)
        expected = torch.einsum("nc,bnxyz->bcxyz", shifts(1).double() / 2, weights)
        torch.testing.assert_close(found.double(), expected, atol=2e-6, rtol=0)

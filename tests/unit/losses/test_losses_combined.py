from __future__ import annotations

import pytest
import torch
from torch import Tensor
from wssamnet.losses import combined, image_loss, laplacian_of_gaussian, lncc, mutual_information
from wssamnet.settings import make_settings


def test_terms_are_weighted_and_made_of_edge_images() -> None:
    fixed, moving = torch.rand(1, 2, 9, 10, 11), torch.rand(1, 2, 9, 10, 11)
    settings = make_settings(
        values={"lncc_weight": 2, "mi_weight": 3, "log_sigma_mm": 2, "lncc_window": 5, "mi_bins": 8}
    )
    terms = image_loss(fixed, moving, settings, (1.0, 2.0, 4.0))
    sigma = (2.0, 1.0, 0.75)  # voxels: 2 mm, but for the thick slices
    a, b = (laplacian_of_gaussian(image, sigma=sigma, normalised=True) for image in (fixed, moving))
    assert set(terms) == {"lncc", "mi"}
    torch.testing.assert_close(terms["lncc"], 2 * lncc(a, b, window=5))
    torch.testing.assert_close(terms["mi"], 3 * mutual_information(a, b, bins=8))


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (1.0, 1.0, 5.0), (6.0, 6.0, 6.0)])
def test_edge_images_of_large_voxels_are_edge_images(
    monkeypatch: pytest.MonkeyPatch, spacing: tuple[float, float, float]
) -> None:
    """What does not vary has no edges; what bends has the same everywhere."""
    seen = []
    monkeypatch.setattr(combined, "lncc", lambda fixed, moving, **_: seen.extend((fixed, moving)) or fixed.mean())
    x = torch.arange(33.0) - 16
    square = (x**2).view(-1, 1, 1) + (x**2).view(1, -1, 1) + (x**2).view(1, 1, -1)
    image_loss(torch.ones_like(square)[None, None], square[None, None], make_settings(values={"mi_weight": 0}), spacing)
    flat, bent = (image[0, 0, 16, 16, 16].item() for image in seen)
    sigma = [max(1.5 / size, 0.75) for size in spacing]
    assert flat == pytest.approx(0, abs=0.003)
    assert bent == pytest.approx(2 * sum(width**2 for width in sigma), rel=0.01)


def test_terms_of_no_weight_are_left_out_and_sigma_zero_compares_intensities() -> None:
    fixed, moving = torch.rand(1, 1, 9, 10, 11), torch.rand(1, 1, 9, 10, 11).requires_grad_()
    settings = make_settings(values={"mi_weight": 0, "log_sigma_mm": 0})
    terms = image_loss(fixed, moving, settings, (1.0, 1.0, 1.0))
    assert set(terms) == {"lncc"}
    torch.testing.assert_close(terms["lncc"], lncc(fixed, moving))
    assert torch.autograd.grad(terms["lncc"], moving)[0].any()


def test_descending_it_aligns() -> None:
    """A shifted blob comes back: the gradient of the paper's loss points the right way."""
    x = torch.arange(24.0)

    def blob(centre: Tensor | float) -> Tensor:
        squares = (x - centre).view(-1, 1, 1) ** 2 + (x - 12).view(1, -1, 1) ** 2 + (x - 12).view(1, 1, -1) ** 2
        return (-squares / 18).exp()[None, None]

    def loss(shift: Tensor) -> Tensor:
        terms = image_loss(blob(12.0), blob(12 + shift), make_settings(), (1.0, 1.0, 1.0))
        return terms["lncc"] + terms["mi"]

    shift = torch.tensor(2.0, requires_grad=True)
    (slope,) = torch.autograd.grad(loss(shift), shift)
    assert slope > 0
    assert loss(torch.tensor(1.0)) < loss(torch.tensor(2.0))

"""Shapes, parameter counts and starts of the networks; attention's values."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from wssamnet.models.attention import attend
from wssamnet.models.convolution import Convolution
from wssamnet.models.persistence import build_model
from wssamnet.models.unet import UNet
from wssamnet.models.voxelmorph import VoxelMorph
from wssamnet.models.wssamnet import WSSAMNet
from wssamnet.settings import make_settings

SIZES = [(13, 17, 11), (16, 16, 16), (5, 9, 7)]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("levels", [2, 3, 4])
def test_the_unet_takes_any_size(size: tuple[int, int, int], levels: int) -> None:
    unet = UNet(2, 3, features=2, levels=levels)
    assert unet(torch.rand(1, 2, *size)).shape == (1, 3, *size)


def test_the_papers_unet_has_8_16_32_feature_maps() -> None:
    unet = UNet(1, 1, features=8, levels=3)
    widths = [module.out_channels for module in unet.encoder.modules() if isinstance(module, nn.Conv3d)]
    assert widths == [8, 8, 16, 16, 32, 32]
    assert sum(parameter.numel() for parameter in unet.parameters()) == 89041


def test_a_lone_small_item_is_convolved_like_one_of_a_batch() -> None:
    convolution = Convolution(3, 4)
    pair = torch.rand(2, 3, 6, 7, 8)
    reference = nn.functional.conv3d(pair, convolution.weight, convolution.bias, padding=1)
    torch.testing.assert_close(convolution(pair[:1]), reference[:1])
    convolution.zero_grad()
    convolution(pair[:1]).square().sum().backward()
    found = convolution.weight.grad
    weight = convolution.weight.detach().requires_grad_()
    nn.functional.conv3d(pair[:1], weight, convolution.bias, padding=1).square().sum().backward()
    torch.testing.assert_close(found, weight.grad)


@pytest.mark.parametrize(("kind", "value"), [("multiply", 0.5), ("residual", 2.5), ("none", 2.0)])
def test_attention(kind: str, value: float) -> None:
    image, map_ = torch.full((1, 2, 3, 3, 3), 2.0), torch.full((1, 1, 3, 3, 3), 0.25)
    assert attend(image, map_, kind).unique().tolist() == [value]  # type: ignore[arg-type]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    "values",
    [
        {},
        {"head": "half"},
        {"correlation_radius": 1},
        {"head": "half", "levels": 2, "correlation_radius": 1},
        {"velocity": True},
        {"pyramid": True},
        {"head": "half", "levels": 4, "velocity": True, "pyramid": True},
        {"segmentation": "half"},
        {"attention": "none"},
        {"head": "half", "levels": 4, "velocity": True, "attention": "residual"},
    ],
)
def test_wssamnet_starts_at_the_identity_whatever_the_size(
    size: tuple[int, int, int], values: dict[str, object]
) -> None:
    settings = make_settings("paper", {"features": 2, **values})
    model = build_model("wssamnet", settings, 2)
    prediction = model(torch.rand(2, 2, *size), torch.rand(2, 2, *size))
    assert prediction.displacement.shape == prediction.field.shape == (2, 3, *size)
    assert prediction.displacement.abs().max() < 0.01
    if settings.attention == "none":
        assert prediction.fixed_logits is prediction.moving_logits is None
    else:
        assert prediction.fixed_logits.shape == prediction.moving_logits.shape == (2, 1, *size)


def test_a_halved_unet_sees_means_and_answers_at_full_size() -> None:
    torch.manual_seed(0)
    halved, plain = UNet(1, 1, features=2, halved=True), UNet(1, 1, features=2)
    plain.load_state_dict(halved.state_dict())
    image = torch.rand(1, 1, 16, 24, 16)
    expected = nn.functional.interpolate(plain(nn.functional.avg_pool3d(image, 2)), scale_factor=2, mode="trilinear")
    torch.testing.assert_close(halved(image), expected)


def test_a_level_of_the_pyramid_adds_its_displacement_in_its_own_voxels() -> None:
    """Biases alone: 1 voxel of the lowest of three levels is 4 of the finest, 1 of the middle one 2."""
    unet = UNet(2, 3, features=2, levels=3, pyramid=True)
    for parameter in (*unet.output.parameters(), *unet.coarser.parameters()):
        nn.init.zeros_(parameter)
    with torch.no_grad():
        for output, bias in zip(
            (unet.output, *unet.coarser), torch.tensor([[0, 0, 5], [0, 1, 0], [1, 0, 0]]), strict=True
        ):
            output.bias.copy_(bias)
    found = unet(torch.rand(1, 2, 9, 8, 12))
    torch.testing.assert_close(found, torch.tensor([4.0, 2.0, 5.0]).view(1, 3, 1, 1, 1).expand(1, 3, 9, 8, 12))


def test_the_segmentations_bias_starts_where_it_is_told() -> None:
    model = build_model("wssamnet", make_settings("paper", {"segmentation_bias": -3.0, "features": 2}), 1)
    assert isinstance(model, WSSAMNet)
    with torch.no_grad():
        logits = model(torch.rand(1, 1, 16, 16, 16), torch.rand(1, 1, 16, 16, 16)).fixed_logits
    assert abs(logits.mean() + 3) < 1.5
    assert model.segmentation_moving.output.bias is not None
    assert model.segmentation_moving.output.bias.tolist() == [-3.0]


@pytest.mark.parametrize("pyramid", [False, True])
def test_every_parameter_of_wssamnet_gets_a_gradient(pyramid: bool) -> None:
    model = build_model("wssamnet", make_settings("best", {"features": 2, "pyramid": pyramid}), 1)
    prediction = model(torch.rand(1, 1, 16, 16, 16), torch.rand(1, 1, 16, 16, 16))
    prediction.displacement.square().sum().backward()
    assert [name for name, parameter in model.named_parameters() if parameter.grad is None] == []


def test_voxelmorph_has_the_published_size() -> None:
    model = build_model("voxelmorph", make_settings("paper"), 1)
    assert sum(parameter.numel() for parameter in model.parameters()) == 327_331  # of VxmDense's defaults


@pytest.mark.parametrize("integration", [0, 7])
def test_voxelmorph_takes_any_size_and_starts_at_the_identity(integration: int) -> None:
    model = build_model("voxelmorph", make_settings("paper", {"voxelmorph_integration": integration}), 1)
    assert isinstance(model, VoxelMorph)
    displacement, field = model(torch.rand(1, 1, 13, 17, 11), torch.rand(1, 1, 13, 17, 11))
    assert displacement.shape == field.shape == (1, 3, 13, 17, 11)
    assert displacement.abs().max() < 0.01
    assert (displacement is field) == (integration == 0) or torch.allclose(displacement, field, atol=1e-3)
    displacement.square().sum().backward()
    assert [name for name, parameter in model.named_parameters() if parameter.grad is None] == []

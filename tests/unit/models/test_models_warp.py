"""The spatial transformer against shifts, scipy and its own inverse."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter, map_coordinates
from torch import Tensor
from wssamnet.models.warp import compose, integrate, upsample_displacement, warp, warp_reference

SHAPE = (12, 9, 14)


def smooth_field(seed: int = 0, amplitude: float = 2.0, shape: tuple[int, int, int] = SHAPE) -> Tensor:
    rng = np.random.default_rng(seed)
    field = np.stack([gaussian_filter(rng.normal(size=shape), 3) for _ in range(3)])
    return torch.tensor(amplitude * field / np.abs(field).max(), dtype=torch.float32)[None]


def random_image(channels: int = 2, shape: tuple[int, int, int] = SHAPE) -> Tensor:
    return torch.rand(1, channels, *shape, generator=torch.Generator().manual_seed(3))


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_whole_voxel_shift_reads_the_neighbour_along_that_axis(axis: int) -> None:
    image = random_image()
    displacement = torch.zeros(1, 3, *SHAPE)
    displacement[:, axis] = 2  # out(x) = image(x + 2)
    warped = warp(image, displacement)
    size = SHAPE[axis]
    torch.testing.assert_close(
        warped.narrow(axis + 2, 0, size - 2), image.narrow(axis + 2, 2, size - 2), atol=1e-5, rtol=0
    )
    assert warped.narrow(axis + 2, size - 2, 2).abs().max() < 1e-5


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("batch", [1, 2])
def test_warp_agrees_with_scipy_for_any_batch_and_type(dtype: torch.dtype, batch: int) -> None:
    image = random_image().repeat(batch, 1, 1, 1, 1).to(dtype)
    displacement = smooth_field().repeat(batch, 1, 1, 1, 1).to(dtype)
    warped = warp(image, displacement, outside="border")
    points = np.stack(np.meshgrid(*map(np.arange, SHAPE), indexing="ij")) + displacement[0].numpy()
    for item in range(batch):
        for channel in range(2):
            wanted = map_coordinates(image[item, channel].numpy(), points, order=1, mode="nearest")
            np.testing.assert_allclose(warped[item, channel].numpy(), wanted, atol=2e-5)


@pytest.mark.parametrize("half", [torch.float16, torch.bfloat16])
def test_half_precision_reads_where_float32_does(half: torch.dtype) -> None:
    """Along 300 voxels, where bfloat16 has no odd numbers; the image in float32 too."""
    image = torch.arange(300.0).view(1, 1, 300, 1, 1) / 300
    still = torch.zeros(1, 3, 300, 1, 1)
    for kind in (torch.float32, half):
        given = image.to(kind)
        for autocast in (False, True):
            with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
                warped = warp(given, still.to(half), outside="border")
            assert warped.dtype == kind
            torch.testing.assert_close(warped, given, atol=1e-4, rtol=0)


@settings(max_examples=30, deadline=None)
@given(
    shape=st.tuples(*[st.integers(1, 9)] * 3),
    batch=st.integers(1, 3),
    channels=st.integers(1, 4),
    outside=st.sampled_from(["zero", "border"]),
    seed=st.integers(0, 1000),
)
def test_kernel_and_grid_sample_agree_in_value_and_both_gradients(
    shape: tuple[int, int, int], batch: int, channels: int, outside: Literal["zero", "border"], seed: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    image = torch.rand(batch, channels, *shape, generator=generator)
    # 0.1 off whole voxels, where the derivative jumps
    whole = torch.randint(-3, 4, (batch, 3, *shape), generator=generator)
    displacement = whole + 0.1 + 0.8 * torch.rand(batch, 3, *shape, generator=generator)
    upstream = torch.randn(batch, channels, *shape, generator=generator)
    found = []
    for function, dtype in ((warp, torch.float32), (warp_reference, torch.float64)):
        i, u = (t.to(dtype).requires_grad_() for t in (image, displacement))
        value = function(i, u, outside=outside)
        found.append((value, *torch.autograd.grad(value, (i, u), upstream.to(dtype))))
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours.double(), theirs, atol=1e-4, rtol=1e-4)


def test_memory_layouts_and_views_do_not_matter() -> None:
    image, displacement = random_image(3), smooth_field()
    wanted = warp(image, displacement)
    wide = torch.nn.functional.pad(displacement, (0, 2, 1, 0)).to(memory_format=torch.channels_last_3d)
    view = wide[..., 1:, : SHAPE[2]]
    torch.testing.assert_close(warp(image.to(memory_format=torch.channels_last_3d), view), wanted, atol=0, rtol=0)
    with torch.inference_mode():
        torch.testing.assert_close(warp(image, displacement), wanted, atol=0, rtol=0)


def test_the_gradient_reaches_image_and_displacement() -> None:
    image, displacement = random_image(1, (5, 4, 6)).double(), smooth_field(1, 0.4, (5, 4, 6)).double() + 0.03
    assert torch.autograd.gradcheck(warp, (image.requires_grad_(), displacement.requires_grad_()), atol=1e-4)


def test_composing_two_shifts_adds_them() -> None:
    first, then = torch.zeros(1, 3, *SHAPE), torch.zeros(1, 3, *SHAPE)
    first[:, 0], then[:, 2] = 1.5, -2
    total = compose(first, then)
    assert total[0, :, 5, 4, 7].tolist() == pytest.approx([1.5, 0, -2], abs=1e-5)


def test_a_constant_velocity_is_its_own_displacement() -> None:
    velocity = torch.full((1, 3, *SHAPE), 1.25)
    torch.testing.assert_close(integrate(velocity), velocity)


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 1000))
def test_integrating_backwards_inverts(seed: int) -> None:
    velocity = smooth_field(seed, 1.0, (16, 16, 16))
    there_and_back = compose(integrate(velocity), integrate(-velocity))
    assert there_and_back[..., 3:-3, 3:-3, 3:-3].abs().max() < 0.05


def test_doubling_a_field_keeps_what_it_does_in_space() -> None:
    i = torch.arange(6, dtype=torch.float32)
    coarse = torch.stack(torch.meshgrid(0.1 * i, 0 * i, 0 * i + 0.5, indexing="ij"))[None]
    fine = upsample_displacement(coarse)
    assert fine.shape == (1, 3, 12, 12, 12)
    # fine voxel 5 lies at coarse 2.25: 0.1 * 2.25 coarse voxels are twice as many fine ones
    assert fine[0, 0, 5, 3, 3].item() == pytest.approx(0.45, abs=1e-6)
    assert fine[0, 2].unique().tolist() == [1.0]


@pytest.mark.parametrize(
    ("image", "displacement", "said"),
    [
        ((1, 1, 8, 8, 8), (1, 2, 8, 8, 8), r"displacement must have three components, \(B, 3, X, Y, Z\), not "),
        ((1, 1, 8, 8, 8), (1, 4, 8, 8, 8), "displacement must have three components"),
        ((1, 8, 8, 8), (1, 3, 8, 8, 8), r"image must have the shape \(B, C, X, Y, Z\)"),
        ((2, 1, 8, 8, 8), (1, 3, 8, 8, 8), "image and displacement must have one batch size, not 2 and 1"),
    ],
)
def test_what_is_no_field_for_the_image_is_refused(
    image: tuple[int, ...], displacement: tuple[int, ...], said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        warp(torch.zeros(image), torch.zeros(displacement))

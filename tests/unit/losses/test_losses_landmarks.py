"""Losses of known correspondences: known numbers, MONAI's Dice, gradients, what does not fit."""

from __future__ import annotations

import pytest
import torch
from monai.losses import DiceLoss
from torch import Tensor
from wssamnet.losses import landmark_distance, overlap
from wssamnet.models.warp import warp

SHAPE = (6, 8, 5)


def constant(*shift: float) -> Tensor:
    return torch.tensor(shift, dtype=torch.float32).view(1, 3, 1, 1, 1).expand(1, 3, *SHAPE)


def test_known_distances() -> None:
    here = torch.tensor([[1.0, 2.0, 3.0], [4.0, 6.0, 1.0]])
    there = here + torch.tensor([1.0, 0.0, 0.0])
    u = constant(1, 0, 0)
    assert landmark_distance(u, [here], [there]).item() == pytest.approx(0, abs=1e-6)
    assert landmark_distance(-u, [here], [there]).item() == pytest.approx(2)
    off = there + torch.tensor([[0.0, 3.0, 4.0], [0.0, 0.0, 0.0]])
    assert landmark_distance(u, [here], [off]).item() == pytest.approx(2.5)
    assert landmark_distance(u, [here], [off], spacing=(9, 2, 0.5)).item() == pytest.approx((6**2 + 2**2) ** 0.5 / 2)


def test_a_field_is_read_where_the_warp_reads_it() -> None:
    """The image of the coordinates, warped, holds where each voxel went: between voxels too."""
    torch.manual_seed(0)
    lines = [torch.arange(float(n)) for n in SHAPE]
    index = torch.stack(torch.meshgrid(*lines, indexing="ij"))[None]
    u = torch.rand(1, 3, *SHAPE) * 2 - 1
    went = warp(index, u, outside="border")
    inside = [[2, 3, 2], [3, 4, 1]]  # whole voxels, whose displacements stay in the image
    here = torch.tensor(inside, dtype=torch.float32)
    there = torch.stack([went[0, :, i, j, k] for i, j, k in inside])
    assert landmark_distance(u, [here], [there]).item() == pytest.approx(0, abs=1e-5)
    half = (here[:1] + here[1:]) / 2  # (2.5, 3.5, 1.5): the mean of eight
    mean = half + u[0, :, 2:4, 3:5, 1:3].mean(dim=(1, 2, 3))
    assert landmark_distance(u, [half], [mean]).item() == pytest.approx(0, abs=1e-5)
    outside = torch.tensor([[-3.0, 3.0, 2.0]])
    assert landmark_distance(u, [outside], [outside + u[0, :, 0, 3, 2]]).item() == pytest.approx(0, abs=1e-5)


def test_cases_count_alike_and_those_without_landmarks_do_not() -> None:
    u = constant(0, 0, 0).expand(3, -1, -1, -1, -1).clone().requires_grad_()
    one, none, four = torch.zeros(1, 3), torch.zeros(0, 3), torch.ones(4, 3)
    loss = landmark_distance(u, [one, none, four], [one + torch.tensor([2.0, 0, 0]), none, four])
    assert loss.item() == pytest.approx(1)
    (gradient,) = torch.autograd.grad(loss, u)
    assert torch.isfinite(gradient).all()  # of a distance of 0 too
    assert landmark_distance(u[:1], [none], [none]).item() == 0


def test_its_gradient() -> None:
    u = torch.randn(2, 3, 4, 5, 3, dtype=torch.float64, requires_grad=True)
    points = [torch.rand(n, 3, dtype=torch.float64) * 2 for n in (3, 1)]
    other = [p + torch.randn_like(p) for p in points]
    assert torch.autograd.gradcheck(lambda v: landmark_distance(v, points, other, spacing=(1, 2, 3)), u)


@pytest.mark.parametrize(
    ("displacement", "fixed", "moving", "said"),
    [
        (torch.zeros(1, 2, *SHAPE), [torch.zeros(1, 3)], [torch.zeros(1, 3)], "must have three components"),
        (constant(0, 0, 0), [torch.zeros(1, 3)], [], "landmarks of 1 and 0 cases do not fit a batch of 1"),
        (constant(0, 0, 0), [torch.zeros(2, 3)], [torch.zeros(1, 3)], r"two times \(N, 3\), not \(2, 3\) and \(1, 3\)"),
    ],
)
def test_what_does_not_fit(displacement: Tensor, fixed: list[Tensor], moving: list[Tensor], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        landmark_distance(displacement, fixed, moving)


def test_overlap_is_monais_dice() -> None:
    a, b = torch.rand(2, 3, 1, 5, 4, 3)
    theirs = DiceLoss(smooth_nr=0, smooth_dr=1e-9, reduction="mean")
    assert overlap(a, b).item() == pytest.approx(theirs(a, b).item(), rel=1e-5)


def test_known_overlaps() -> None:
    a, b = torch.zeros(2, 1, 1, 4, 4, 4)
    a[..., :2, :, :] = 1
    b[..., 1:3, :, :] = 1
    assert overlap(a, a).item() == pytest.approx(0)
    assert overlap(a, b).item() == pytest.approx(0.5)
    assert overlap(a, 1 - a).item() == pytest.approx(1)
    empty = torch.zeros_like(a)
    assert overlap(empty, empty).item() == 0
    assert overlap(torch.cat((a, empty)), torch.cat((b, empty))).item() == pytest.approx(0.25)

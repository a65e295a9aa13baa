"""A device for each U-Net: every tensor is moved to where it is needed, and the numbers stay the same."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from wssamnet.errors import SettingsError
from wssamnet.losses import focal, smoothness
from wssamnet.models.persistence import build_model
from wssamnet.models.placement import Placement, unseen_gpus
from wssamnet.models.wssamnet import WSSAMNet
from wssamnet.settings import Settings, make_settings

CPU = torch.device("cpu")
PARTS = ("segmentation_fixed", "segmentation_moving", "registration")


def small(**values: object) -> Settings:
    return make_settings("best", {"features": 4, "levels": 2, **values})


def network(settings: Settings) -> WSSAMNet:
    torch.manual_seed(0)
    model = build_model("wssamnet", settings, 1)
    assert isinstance(model, WSSAMNet)
    return model


def move(module: nn.Module, device: str) -> None:
    """As ``module.to``, which does not take pretended tensors."""
    for part in module.modules():
        for name, parameter in part._parameters.items():
            if parameter is not None:
                part._parameters[name] = nn.Parameter(parameter.detach().to(device))


@pytest.mark.parametrize("attention", ["multiply", "residual", "none"])
@pytest.mark.parametrize("head", ["half", "full"])
@pytest.mark.parametrize("known", [False, True])
def test_no_step_of_the_network_mixes_devices(attention: str, head: str, known: bool) -> None:
    # Pretended tensors have a device and no content; a step whose tensors lie on two devices fails as on real ones.
    with FakeTensorMode():
        model = WSSAMNet(small(attention=attention, head=head, correlation_radius=0), 1)
        for number, part in enumerate(PARTS):
            move(model.get_submodule(part), f"cuda:{number}")
        fixed, moving = (torch.rand(2, 1, 15, 16, 13, device="cuda:2") for _ in range(2))
        with pytest.raises(RuntimeError, match="to be on the same device"):
            model.segmentation_fixed(fixed)
        logits = model.segment(fixed, moving) if known else None
        found = model(fixed, moving, logits)
        roi = torch.ones(2, 1, 15, 16, 13, dtype=torch.bool, device="cuda:2")
        losses = [smoothness(found.field)]
        losses += [focal(map, roi) for map in (found.fixed_logits, found.moving_logits) if map is not None]
        assert len(losses) == (1 if attention == "none" else 3)
        assert {str(loss.device) for loss in losses} == {str(found.displacement.device)} == {"cuda:2"}
        elsewhere = model(fixed.to("cuda:0"), moving.to("cuda:1"))
        assert str(elsewhere.displacement.device) == "cuda:2"


@pytest.mark.parametrize("part", PARTS)
def test_each_u_net_goes_to_its_own_device(part: str) -> None:
    model = network(small())
    placement = replace(Placement.one(CPU), **{part: torch.device("meta")})  # the only other one that is everywhere
    assert placement.place(model) is model
    there = {name: {str(weight.device) for weight in model.get_submodule(name).parameters()} for name in PARTS}
    assert there == {name: {"meta" if name == part else "cpu"} for name in PARTS}
    assert model.hints is not None
    beside = {str(tensor.device) for tensor in (*model.hints.parameters(), *model.hints.buffers())}
    assert beside == {"meta" if part == "registration" else "cpu"}


def outcome(placed: bool) -> tuple[Tensor, list[Tensor]]:
    """A step's displacement and gradients."""
    model = network(small(stage2="end_to_end"))
    if placed:
        Placement.three().place(model)
    fixed, moving = torch.rand(2, 2, 1, 16, 16, 12, generator=torch.Generator().manual_seed(1))
    found = model(fixed, moving)
    assert found.fixed_logits is not None
    (found.displacement.sin().mean() + found.fixed_logits.square().mean()).backward()
    return found.displacement, [weight.grad for weight in model.parameters() if weight.grad is not None]


@pytest.mark.skipif(torch.cuda.device_count() in (1, 2), reason="with one or two GPUs there are no three devices")
def test_placed_or_not_the_numbers_are_the_same() -> None:
    (alone, gradients), (placed, others) = outcome(False), outcome(True)
    exact = {"rtol": 0, "atol": 0} if not torch.cuda.is_available() else {"rtol": 1e-3, "atol": 1e-5}
    torch.testing.assert_close(placed.cpu(), alone, **exact)
    for one, other in zip(gradients, others, strict=True):
        torch.testing.assert_close(other.cpu(), one, **exact)


@pytest.mark.parametrize("gpus", [1, 2])
def test_too_few_gpus_are_refused(monkeypatch: pytest.MonkeyPatch, gpus: int) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    with pytest.raises(SettingsError, match=f"placement: 'three_devices' needs three GPUs \\({gpus} can be seen here"):
        Placement.three()
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    three = Placement.three()
    assert str(three) == "cuda:0, cuda:1, cuda:2"
    assert (three.segmentation_fixed.index, three.registration.index) == (0, 2)


@pytest.mark.parametrize(("given", "seen", "told"), [("0,1", False, True), ("0", True, False), (None, False, False)])
def test_a_gpu_that_is_given_and_not_seen_is_told(
    monkeypatch: pytest.MonkeyPatch, given: str | None, seen: bool, told: bool
) -> None:
    monkeypatch.delenv("SLURM_JOB_GPUS", raising=False)
    if given:
        monkeypatch.setenv("SLURM_JOB_GPUS", given)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: seen)
    assert unseen_gpus().startswith("its job has GPU 0,1, but PyTorch sees none") is told
    assert bool(unseen_gpus()) is told

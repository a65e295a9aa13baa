"""Networks and a training step beside the same at torch's defaults and with the peers' parts.

python benchmarks/networks.py [--size quarter|half|full ...] [--only unet ...] [--out networks.csv]
"""

from __future__ import annotations

from typing import Any

from harness import Jobs, Shape, Step, main

from kernels import pair

OURS, DEFAULTS, PEERS = "wssamnet", "torch defaults", "neurite, MONAI, voxelmorph"


def _ours() -> None:
    from wssamnet.kernels.memory import keep_freed_memory

    keep_freed_memory()


def _layout(who: str) -> Any:
    import torch

    return torch.channels_last_3d if who == OURS else torch.contiguous_format


def unet(who: str, shape: Shape) -> Step:
    """Inference of the paper's U-Net."""
    import torch
    from wssamnet.models.unet import UNet

    if who == OURS:
        _ours()
    network, image = UNet(1, 1).to(memory_format=_layout(who)).eval(), pair(shape)[0]

    def step() -> Any:
        with torch.inference_mode():
            return network(image)

    return step


def convolutions(network: Any, *images: Any) -> Step:
    """The network's convolutions alone, forward and backward where it trains: what a step cannot go below."""
    import torch

    calls: list[tuple[Any, Any]] = []
    hooks = [
        module.register_forward_hook(lambda module, inputs, _: calls.append((module, inputs[0].detach())))
        for module in network.modules()
        if isinstance(module, torch.nn.Conv3d)
    ]
    network(*images)
    for hook in hooks:
        hook.remove()
    first = {calls[0][1].shape[1]}  # nothing needs a gradient with respect to an image

    def step() -> None:
        for module, inputs in calls:
            inputs = inputs.detach().requires_grad_(inputs.shape[1] not in first)
            out = module(inputs)
            out.backward(torch.ones_like(out))

    return step


def pair_network(who: str, shape: Shape) -> Step:
    """The whole network on one pair, which is already in its brain box."""
    import torch
    from wssamnet.models.persistence import build_model
    from wssamnet.settings import make_settings

    if who != "voxelmorph":
        _ours()
    fixed, moving = pair(shape)
    settings = make_settings("best" if who == "wssamnet, preset best" else "paper")
    model = build_model("voxelmorph" if who == "voxelmorph" else "wssamnet", settings, 1).eval()
    if who == "voxelmorph":
        model = model.to(memory_format=torch.contiguous_format)

    def step() -> Any:
        with torch.inference_mode():
            return model(fixed, moving.detach())

    return step


def training_step(who: str, shape: Shape) -> Step:
    """Stage 2 of the preset `paper`, end to end: three U-Nets, LoG, LNCC, MI, smoothness, focal losses, Adam."""
    import torch
    from wssamnet.losses import focal, image_loss, smoothness
    from wssamnet.losses.laplacian_of_gaussian import log_kernels, log_reference
    from wssamnet.models.persistence import build_model
    from wssamnet.models.warp import warp
    from wssamnet.settings import make_settings

    ours = who != PEERS
    if ours:
        _ours()
    settings = make_settings()
    model = build_model("wssamnet", settings, 1).to(memory_format=torch.channels_last_3d if ours else _layout(who))
    fixed, moving = (image.detach() for image in pair(shape))
    if who == "its convolutions alone":
        return convolutions(model, fixed, moving)
    mask = fixed > 0
    roi = (torch.rand(fixed.shape) < 0.02) & mask
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-4)

    def our_loss(p: Any) -> Any:
        terms = image_loss(fixed, warp(moving, p.displacement), settings, (1.0, 1.0, 1.0), mask=mask)
        found = [focal(logits, roi, mask=mask) for logits in (p.fixed_logits, p.moving_logits)]
        return sum(terms.values()) + smoothness(p.field) + sum(found)

    def their_loss(p: Any) -> Any:
        from monai.losses import FocalLoss, GlobalMutualInformationLoss
        from neurite.nn.modules import NCC, SpatialGradient
        from voxelmorph.nn.functional import spatial_transform

        warped = spatial_transform(moving, p.displacement)
        a, b = (log_reference(image, [log_kernels(1.5)] * 3) for image in (fixed, warped))
        similar = NCC(9)(a, b).mean() + GlobalMutualInformationLoss(num_bins=32)(b, a)
        find = FocalLoss(gamma=2.0)
        found = [find(logits, roi.float()) for logits in (p.fixed_logits, p.moving_logits)]
        return similar + SpatialGradient("l2")(p.field).mean() + sum(found)

    def step() -> None:
        loss = (our_loss if ours else their_loss)(model(fixed, moving))
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()

    return step


JOBS: Jobs = {
    "unet_inference": (unet, [OURS, DEFAULTS]),
    "pair_network": (pair_network, [OURS, "wssamnet, preset best", "voxelmorph"]),
    "training_step": (training_step, [OURS, "its convolutions alone", PEERS]),
}

if __name__ == "__main__":
    main(__doc__, __file__, JOBS, small=(32, 32, 32))

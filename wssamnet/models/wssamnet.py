"""WSSAMNet: two segmentation U-Nets, their attention, and the registration U-Net."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wssamnet.models.attention import attend
from wssamnet.models.correlation import CorrelationHints
from wssamnet.models.padding import crop_end, pad_end, padded_shape
from wssamnet.models.unet import UNet
from wssamnet.models.warp import integrate, upsample_displacement
from wssamnet.settings import Settings


@dataclass(frozen=True, eq=False)
class Prediction:
    """What WSSAMNet says about a batch of pairs.

    Args:
        displacement: (B, 3, X, Y, Z), voxels in ijk order, pull-back.
        field: what the smoothness penalises: the velocity if there is one, else the displacement.
        fixed_logits, moving_logits: (B, 1, X, Y, Z), ROI logits; None without attention.
    """

    displacement: Tensor
    field: Tensor
    fixed_logits: Tensor | None
    moving_logits: Tensor | None


def segmentation_unet(settings: Settings, channels: int) -> UNet:
    """A segmentation U-Net, `channels` → 1 logit; its output bias starts at `settings.segmentation_bias`."""
    halved = settings.segmentation == "half"
    unet = UNet(channels, 1, features=settings.features, levels=settings.levels, halved=halved)
    if settings.segmentation_bias and unet.output.bias is not None:
        nn.init.constant_(unet.output.bias, settings.segmentation_bias)
    return unet


def _device(module: nn.Module) -> torch.device:
    return next(module.parameters()).device


class WSSAMNet(nn.Module):
    """The whole network (Almahfouz Nasser et al. 2022, figure 1).

    Args:
        settings: `features`, `levels`, `attention`, `head`, `velocity`, `pyramid`, `segmentation`,
            `segmentation_bias`, `correlation_radius`. With the half-resolution head the registration U-Net lacks
            its finest level, and its output is doubled.
        channels: modalities of each scan.
    """

    def __init__(self, settings: Settings, channels: int) -> None:
        super().__init__()
        self.settings = settings
        self.channels = channels
        self.segmentation_fixed = segmentation_unet(settings, channels)
        self.segmentation_moving = segmentation_unet(settings, channels)
        self.coarse = settings.head == "half"
        self.multiple = 2 ** (settings.levels - 1)
        features = settings.features * (2 if self.coarse else 1)
        self.hints: CorrelationHints | None = None
        if settings.correlation_radius:
            self.hints = CorrelationHints(settings.correlation_radius, features)
        self.registration = UNet(
            2 * channels + (self.hints.channels if self.hints is not None else 0),
            3,
            features=features,
            levels=settings.levels - 1 if self.coarse else settings.levels,
            pyramid=settings.pyramid,
        )
        for part in (self.registration.output, self.registration.coarser):  # start at the identity
            for parameter in part.parameters():
                if parameter.ndim > 1:
                    nn.init.normal_(parameter, std=1e-5)
                else:
                    nn.init.zeros_(parameter)

    def segment(self, fixed: Tensor, moving: Tensor) -> tuple[Tensor, Tensor]:
        """Ask both segmentations, each on the device that holds it.

        Args:
            fixed, moving: (B, C, X, Y, Z), on any device.

        Returns:
            two times (B, 1, X, Y, Z) logits, on the devices of `fixed` and `moving`.
        """
        found_fixed = self.segmentation_fixed(fixed.to(_device(self.segmentation_fixed)))
        found_moving = self.segmentation_moving(moving.to(_device(self.segmentation_moving)))
        # back only when both have begun, so that two GPUs work side by side
        return found_fixed.to(fixed.device), found_moving.to(moving.device)

    def forward(self, fixed: Tensor, moving: Tensor, logits: tuple[Tensor, Tensor] | None = None) -> Prediction:
        """Register a batch of pairs.

        Args:
            fixed, moving: (B, C, X, Y, Z) of one size, any size; intensities in [0, 1], background 0.
            logits: what the two segmentations say of them, (B, 1, X, Y, Z) each, where that is known already;
                None asks them.

        Returns:
            all on the device of the registration U-Net.
        """
        shape = fixed.shape[-3:]
        home = _device(self.registration)
        fixed, moving = fixed.to(home), moving.to(home)
        inner = padded_shape(shape, self.multiple, at_least=2)
        fixed, moving = pad_end(fixed, inner), pad_end(moving, inner)
        fixed_logits = moving_logits = fixed_map = moving_map = None
        if self.settings.attention != "none":
            if logits is None:
                fixed_logits, moving_logits = self.segment(fixed, moving)
            else:
                fixed_logits, moving_logits = (pad_end(known.to(home), inner) for known in logits)
            fixed_map, moving_map = torch.sigmoid(fixed_logits), torch.sigmoid(moving_logits)
        attentive = torch.cat(
            (
                attend(fixed, fixed_map, self.settings.attention),
                attend(moving, moving_map, self.settings.attention),
            ),
            dim=1,
        )
        if self.coarse:
            attentive = F.avg_pool3d(attentive, 2)
        if self.hints is not None:
            hints = self.hints(fixed, moving)
            attentive = torch.cat((attentive, hints if self.coarse else F.interpolate(hints, scale_factor=2)), dim=1)
        field = self.registration(attentive)
        displacement = integrate(field) if self.settings.velocity else field
        if self.coarse:
            field = upsample_displacement(field)
            displacement = upsample_displacement(displacement) if self.settings.velocity else field
        return Prediction(
            crop_end(displacement, shape),
            crop_end(field, shape),
            None if fixed_logits is None else crop_end(fixed_logits, shape),
            None if moving_logits is None else crop_end(moving_logits, shape),
        )

"""The U-Net of all three networks: 3 levels of 8, 16 and 32 feature maps in the paper."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wssamnet.models.convolution import Convolution
from wssamnet.models.doubling import doubled
from wssamnet.models.normalisation import normalise
from wssamnet.models.padding import crop_end, pad_end, padded_shape
from wssamnet.models.warp import upsample_displacement

_SLOPE = 0.1  # of the LeakyReLU below 0


class _Block(nn.Sequential):
    """Twice convolution, instance norm (a group a channel), LeakyReLU; norm and LeakyReLU are computed together."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        layers: list[nn.Module] = []
        for channels in (in_channels, out_channels):
            layers += [Convolution(channels, out_channels), nn.GroupNorm(out_channels, out_channels)]
            layers += [nn.LeakyReLU(_SLOPE)]
        super().__init__(*layers)

    def forward(self, input: Tensor) -> Tensor:
        """(B, in_channels, X, Y, Z) → (B, out_channels, X, Y, Z)."""
        for layer in self:
            if isinstance(layer, nn.GroupNorm):
                input = normalise(input, layer.weight, layer.bias, epsilon=layer.eps, slope=_SLOPE)
            elif isinstance(layer, Convolution):
                input = layer(input)
        return input


class UNet(nn.Module):
    """Encoder and decoder with skip connections (Ronneberger et al. 2015, in 3-D).

    Args:
        in_channels: channels in.
        out_channels: channels out.
        features: feature maps of the first level, doubled at each level.
        levels: resolutions, the input's own included.
        halved: see the image as means of 2x2x2 voxels; the answer is interpolated back.
        pyramid: the answer is a displacement in voxels, made coarse to fine: every level adds its own to that of the
            level below, which is interpolated and doubled.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        features: int = 8,
        levels: int = 3,
        halved: bool = False,
        pyramid: bool = False,
    ) -> None:
        super().__init__()
        widths = [features * 2**level for level in range(levels)]
        self.halved = halved
        self.multiple = 2 ** (levels - 1 + halved)
        self.encoder = nn.ModuleList(_Block(*pair) for pair in zip([in_channels, *widths], widths, strict=False))
        self.decoder = nn.ModuleList(
            _Block(widths[level] + widths[level + 1], widths[level]) for level in range(levels - 1)
        )
        self.output = Convolution(features, out_channels)
        self.coarser = nn.ModuleList(Convolution(width, out_channels) for width in (widths[1:] if pyramid else ()))

    def forward(self, image: Tensor) -> Tensor:
        """Run the network.

        Args:
            image: (B, in_channels, X, Y, Z) of any size; padded inside to what halves evenly.

        Returns:
            (B, out_channels, X, Y, Z).
        """
        shape = image.shape[-3:]
        # two voxels at the lowest level, because instance norm of a single voxel is always zero
        x = pad_end(image, padded_shape(shape, self.multiple, at_least=2))
        if self.halved:
            x = F.avg_pool3d(x, 2)
        skips: list[Tensor] = []
        for level, block in enumerate(self.encoder):
            x = block(F.max_pool3d(x, 2) if level else x)
            skips.append(x)
        below: Tensor | None = None
        for level in reversed(range(len(self.decoder))):
            if len(self.coarser):
                said = self.coarser[level](x)
                below = upsample_displacement(said if below is None else said + below)
            x = F.interpolate(x, scale_factor=2, mode="nearest")
            x = self.decoder[level](torch.cat((skips[level], x), dim=1))
        x = self.output(x) if below is None else self.output(x) + below
        if self.halved:
            x = doubled(x)
        return crop_end(x, shape)

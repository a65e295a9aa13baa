"""The VoxelMorph baseline: the network of the `voxelmorph` package with the published widths."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from wssamnet.errors import MissingPackageError
from wssamnet.models.padding import crop_end, pad_end, padded_shape
from wssamnet.settings import Settings

_MULTIPLE = 16


class VoxelMorph(nn.Module):
    """VoxelMorph as published (Balakrishnan et al. 2019; Dalca et al. 2019 with integration).

    Encoder 16, 32, 32, 32; decoder 32, 32, 32, 32, and 32, 16, 16 at full resolution; LeakyReLU 0.2.
    The package's `VxmPairwise` builds all but the last two convolutions and a flow layer that reads
    them, so these are put in its place, of the package's own blocks.

    Args:
        settings: `voxelmorph_integration`, squarings of the velocity field; 0 predicts the displacement.
        channels: modalities of each scan.

    Raises:
        MissingPackageError: `voxelmorph` is not installed.
    """

    def __init__(self, settings: Settings, channels: int) -> None:
        super().__init__()
        try:
            from neurite.nn.modules import ConvBlock
            from voxelmorph.nn.models import VxmPairwise
        except ImportError as error:
            raise MissingPackageError(
                f"cannot be imported: {error}", "voxelmorph", "pip install 'voxelmorph>=0.3.4,<0.4'"
            ) from None
        self.settings = settings
        self.channels = channels
        activation = nn.LeakyReLU(0.2)
        self.network = VxmPairwise(
            3,
            channels,
            channels,
            nb_features=[[16, 32, 32, 32], [32, 32, 32, 32]],
            activations=activation,
            integration_steps=settings.voxelmorph_integration,
        )
        self.network.model.out_layer = nn.Sequential(
            ConvBlock(3, 32, 16, activation=activation), ConvBlock(3, 16, 16, activation=activation)
        )
        self.network.flow_layer = ConvBlock(3, 16, 3)
        nn.init.normal_(self.network.flow_layer.conv0.weight, std=1e-5)
        nn.init.zeros_(self.network.flow_layer.conv0.bias)

    def forward(self, fixed: Tensor, moving: Tensor) -> tuple[Tensor, Tensor]:
        """Register a batch of pairs.

        Args:
            fixed, moving: (B, C, X, Y, Z) of one size, any size; padded inside to multiples of 16.

        Returns:
            displacement (B, 3, X, Y, Z), voxels in ijk order, pull-back, and the field that the
            smoothness penalises: the velocity if there is one, else the displacement.
        """
        shape = fixed.shape[-3:]
        inner = padded_shape(shape, _MULTIPLE)
        fixed, moving = pad_end(fixed, inner), pad_end(moving, inner)
        field: Tensor = self.network(moving, fixed, return_field_type="velocity")
        displacement: Tensor = field
        if self.network.integration_steps > 0:
            displacement = self.network.velocity_field_integrator(field)
            self.network.velocity = None  # the package keeps it, which would hold the graph
        return crop_end(displacement, shape), crop_end(field, shape)


def voxelmorph_model(settings: Settings, channels: int) -> VoxelMorph:
    """The baseline, freshly initialised; see `VoxelMorph`."""
    return VoxelMorph(settings, channels).to(memory_format=torch.channels_last_3d)

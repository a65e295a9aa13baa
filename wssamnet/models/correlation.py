"""Where each place of the fixed image fits in the moving one: a local search handed to the network.

A U-Net of two stacked images has to learn from few pairs how to compare them. Given the outcome of a
comparison (as optical-flow networks are: Dosovitskiy et al. 2015, Heinrich 2019), it only has to regularise it.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wssamnet.kernels.correlation import correlate_shifts, expected_shift, pad

_WINDOW = 5  # voxels of the local normalisation
_NOISE = 1e-3  # added to the local variance of intensities in [0, 1]: flat patches stay small
_PLANES = 16  # of the volume at once where it need not be kept for gradients
_SHARPNESS = 10.0  # of the softmax over shifts


def _local_mean(image: Tensor) -> Tensor:
    image = F.pad(image, (_WINDOW // 2,) * 6)
    for axis in (2, 3, 4):  # one axis after the other: 12 additions a voxel; avg_pool3d takes four times as long
        size = image.shape[axis] - _WINDOW + 1
        total = image.narrow(axis, 0, size) + image.narrow(axis, 1, size)
        for shift in range(2, _WINDOW):
            total += image.narrow(axis, shift, size)
        image = total
    return image / _WINDOW**3


def normalise_locally(image: Tensor) -> Tensor:
    """(B, C, X, Y, Z) less its local mean, over its local standard deviation (a cube of 5 voxels)."""
    mean, square = _local_mean(image), _local_mean(image * image)
    return (image - mean) / ((square - mean * mean).clamp(min=0) + _NOISE).sqrt()


def shifts(radius: int) -> Tensor:
    """((2·radius + 1)³, 3): whole-voxel shifts, ijk order, the last axis fastest."""
    line = torch.arange(-radius, radius + 1, dtype=torch.float32)
    return torch.cartesian_prod(line, line, line)


def correlate_reference(fixed: Tensor, moving: Tensor, radius: int) -> Tensor:
    """`correlate_shifts` for batches, in plain torch and on any device: (B, C, X, Y, Z) → (B, N, X/2, Y/2, Z/2)."""
    x, y, z = fixed.shape[-3:]
    padded = F.pad(moving, (radius,) * 6)
    volume = [
        F.avg_pool3d((fixed * padded[..., a : a + x, b : b + y, c : c + z]).mean(dim=1, keepdim=True), 2)
        for a, b, c in (shifts(radius) + radius).long().tolist()
    ]
    return F.avg_pool3d(F.pad(torch.cat(volume, dim=1), (1,) * 6), 3, stride=1)


class CorrelationHints(nn.Module):
    """Turns a pair into feature maps at half resolution that tell where each place fits.

    Args:
        radius: largest shift, voxels of the full resolution.
        features: maps that the volume is condensed to by a learned matrix.
    """

    offsets: Tensor

    def __init__(self, radius: int, features: int) -> None:
        super().__init__()
        self.radius = radius
        self.channels = features + 3
        self.register_buffer("offsets", shifts(radius), persistent=False)
        count = (2 * radius + 1) ** 3
        self.condense = nn.Parameter(torch.empty(features, count).uniform_(-1, 1) / count**0.5)

    def forward(self, fixed: Tensor, moving: Tensor) -> Tensor:
        """Compare two images.

        Args:
            fixed, moving: (B, C, X, Y, Z), even sizes. No gradient is taken with respect to them.

        Returns:
            (B, features + 3, X/2, Y/2, Z/2); the last three are the expected shift, in half-resolution voxels.
        """
        with torch.no_grad():
            f, m = normalise_locally(fixed), normalise_locally(moving)
        if f.device.type != "cpu" or f.dtype != torch.float32:
            return self._hints(correlate_reference(f, m, self.radius))
        pairs = [(a, pad(b, self.radius)) for a, b in zip(f.numpy(), m.numpy(), strict=True)]
        planes = f.shape[2] // 2
        at_once = planes if torch.is_grad_enabled() else _PLANES
        parts = []
        for first in range(0, planes, at_once):
            some = range(first, min(first + at_once, planes))
            volumes = [correlate_shifts(*pair, self.radius, some) for pair in pairs]
            parts.append(self._hints(torch.from_numpy(np.stack(volumes) if len(volumes) > 1 else volumes[0][None])))
        return torch.cat(parts, dim=2) if len(parts) > 1 else parts[0]

    def _hints(self, volume: Tensor) -> Tensor:
        """Condense (B, N, x, y, z) to (B, features + 3, x, y, z)."""
        columns = volume.flatten(2)
        with torch.autocast(columns.device.type, enabled=False):  # means of small numbers: no digit to lose
            condensed = self.condense @ columns
            hints = torch.cat((condensed, self._expected(columns)), dim=1)
        return hints.view(*hints.shape[:2], *volume.shape[2:])

    @torch.no_grad()
    def _expected(self, columns: Tensor) -> Tensor:
        """The mean shift under the softmax, in half-resolution voxels: (B, N, P) to (B, 3, P)."""
        if columns.device.type == "cpu" and columns.dtype == torch.float32:
            found = [expected_shift(one, self.radius, _SHARPNESS) for one in columns.numpy()]
            return torch.from_numpy(np.stack(found)) / 2
        wide = columns.to(torch.promote_types(columns.dtype, torch.float32))
        return torch.einsum("nc,bnp->bcp", self.offsets.to(wide) / 2, torch.softmax(_SHARPNESS * wide, 1)).to(columns)

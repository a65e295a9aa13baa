"""Focal loss of the landmark ROIs (paper, equation 1)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from wssamnet.losses.checks import as_images, as_mask


def focal(logits: Tensor, target: Tensor, *, gamma: float = 2.0, mask: Tensor | None = None) -> Tensor:
    """FL(p_t) = -(1 - p_t)^γ log(p_t), mean over the voxels; p_t is the probability given to the true class.

    Both factors are taken from the logits, so that neither overflows nor loses its gradient.

    Args:
        logits: (B, C, X, Y, Z), before the sigmoid.
        target: same shape; 1 (or True) inside the ROI, 0 outside.
        gamma: how strongly easy voxels are played down; 0 is the cross-entropy.
        mask: (B, 1 or C, X, Y, Z); only these voxels count.

    Returns:
        scalar, 0 for an empty mask.

    Raises:
        TypeError, ValueError: logits that are not (B, C, X, Y, Z) floats, a shape that does not fit, a negative gamma.
    """
    if gamma < 0:
        raise ValueError(f"gamma must be at least 0, not {gamma}")
    logits = as_images("logits", logits)
    if target.shape != logits.shape:
        raise ValueError(f"target must have the logits' shape, not {tuple(target.shape)} beside {tuple(logits.shape)}")
    inside = target > 0.5 if target.is_floating_point() else target.bool()
    signed = torch.where(inside, logits, -logits)  # p_t = sigmoid(signed)
    loss = -torch.exp(gamma * F.logsigmoid(-signed)) * F.logsigmoid(signed)
    chosen = as_mask(mask, logits)
    if chosen is None:
        return loss.mean()
    return (loss * chosen).sum() / chosen.sum().clamp(min=1)

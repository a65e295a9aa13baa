"""Attention by a segmentation map: where landmarks are likely, the image weighs more."""

from __future__ import annotations

from typing import Literal

from torch import Tensor

Attention = Literal["multiply", "residual", "none"]


def attend(image: Tensor, map: Tensor | None, kind: Attention) -> Tensor:
    """Weigh an image by a map.

    Args:
        image: (B, C, X, Y, Z).
        map: (B, 1, X, Y, Z), probabilities in [0, 1]; not read when `kind` is "none".
        kind: "multiply" x·a (the paper), "residual" x·(1 + a), "none" x.

    Returns:
        (B, C, X, Y, Z).
    """
    if kind == "none" or map is None:
        return image
    return image * map if kind == "multiply" else image * (1 + map)

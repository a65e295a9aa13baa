"""Saved transforms of ours, ITK's and ANTs's: read, chained, inverted, applied to images and points."""

from wssamnet.transforms.applying import apply_to_image, apply_to_points
from wssamnet.transforms.inversion import invert
from wssamnet.transforms.reading import read_chain, read_transform

__all__ = ["apply_to_image", "apply_to_points", "invert", "read_chain", "read_transform"]

"""Losses of the registration and of the segmentation: torch tensors in, one scalar to be minimised out."""

from wssamnet.losses.combined import image_loss
from wssamnet.losses.focal import focal
from wssamnet.losses.landmarks import landmark_distance, overlap
from wssamnet.losses.laplacian_of_gaussian import laplacian_of_gaussian
from wssamnet.losses.lncc import lncc
from wssamnet.losses.mutual_information import mutual_information
from wssamnet.losses.smoothness import smoothness

__all__ = [
    "focal",
    "image_loss",
    "landmark_distance",
    "laplacian_of_gaussian",
    "lncc",
    "mutual_information",
    "overlap",
    "smoothness",
]

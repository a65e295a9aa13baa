"""The trainings: segmentation, pretraining, registration and the VoxelMorph baseline, on one loop."""

from wssamnet.training.pretraining import pretrain
from wssamnet.training.registration import train_registration
from wssamnet.training.segmentation import train_segmentation
from wssamnet.training.voxelmorph import train_voxelmorph

__all__ = ["pretrain", "train_registration", "train_segmentation", "train_voxelmorph"]

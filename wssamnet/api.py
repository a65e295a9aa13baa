"""Everyday use from Python: register a pair, and send images and points through saved transforms.

>>> from wssamnet.api import apply_to_image, apply_to_points, register_pair
>>> result = register_pair("before.nii.gz", "after.nii.gz", "out")  # doctest: +SKIP
>>> seg = apply_to_image("after_seg.nii.gz", result.fixed_to_moving, "before.nii.gz",
...                      interpolation="label")  # doctest: +SKIP
"""

from wssamnet.pair import PairRegistration, register_pair
from wssamnet.transforms import apply_to_image, apply_to_points, read_transform

__all__ = ["PairRegistration", "apply_to_image", "apply_to_points", "read_transform", "register_pair"]

"""ConvexAdam (``convexAdam``): coupled convex optimisation over MIND features, then Adam.

From the common pre-alignment, with the package's own defaults. Siebert et al., "ConvexAdam: Self-Configuring
Dual-Optimisation-Based 3D Multitask Medical Image Registration", IEEE TMI 2024. It has no affine stage. Lengths are in
voxels, so the search reaches `grid_sp` x `disp_hw` voxels whatever the voxel size.
"""

from __future__ import annotations

import warnings
from importlib.metadata import version

import numpy as np
import torch

from wssamnet.preprocessing.prepared import PreparedCase
from wssamnet.registration.protocol import Registration, thread_count
from wssamnet.registration.voxels import registration_from_voxels

PARAMETERS = {
    "mind_r": 1,
    "mind_d": 2,
    "lambda_weight": 1.25,
    "grid_sp": 6,
    "disp_hw": 4,
    "selected_niter": 80,
    "selected_smooth": 0,
    "grid_sp_adam": 2,
    "ic": True,
}


class ConvexAdamRegistrar:
    """Both stages on the prepared arrays; on the GPU where there is one. Nothing in it is random."""

    name = "convexadam"
    seed: int | None = None

    def __init__(self) -> None:
        with warnings.catch_warnings():  # the package silences every warning of the process when it is imported
            from convexAdam.convex_adam_MIND import convex_adam_pt
        self._register = convex_adam_pt
        self.device = "cuda:0" if torch.cuda.is_available() else "cpu"

    def register(self, case: PreparedCase) -> Registration:
        """Register the first modalities of the prepared case."""
        threads = thread_count()
        torch.set_num_threads(threads)
        fixed, moving = (np.asarray(case.array(side)[0], dtype=np.float32) for side in ("fixed", "moving"))
        with warnings.catch_warnings(action="ignore"):  # of torch, about the package's own calls
            # half precision, its default, does not exist on every CPU
            displacement = self._register(
                fixed, moving, dtype=torch.float32, device=torch.device(self.device), verbose=False, **PARAMETERS
            )
        record = {
            "preset": "defaults",
            "convexadam": {**PARAMETERS, "version": version("convexadam")},
            "modality": case.record["modalities"][0],
            "threads": threads,
        }
        return registration_from_voxels(case, np.asarray(displacement, dtype=np.float32), record)

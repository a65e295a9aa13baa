"""FireANTs: greedy diffeomorphic registration with adaptive optimisation in torch, from the common pre-alignment.

The parameters are those of its authors' script for brain MRI (LPBA40), without an affine stage as there on a CPU.
Source: Jena, Chaudhari, Gee, "FireANTs: Adaptive Riemannian Optimization for Multi-Scale Diffeomorphic Registration",
2024. Its licence is its own; the package is looked for, never shipped.
"""

from __future__ import annotations

import io
import logging
import tempfile
from contextlib import redirect_stdout
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch

from wssamnet.fields import DisplacementField
from wssamnet.geometry import Grid
from wssamnet.images import read_displacement
from wssamnet.preprocessing.prepared import PreparedCase
from wssamnet.registration.itk_images import to_simpleitk
from wssamnet.registration.protocol import Registration, thread_count
from wssamnet.registration.voxels import registration_from_field

PARAMETERS = {
    "scales": [4, 2, 1],
    "iterations": [200, 100, 50],
    "loss_type": "cc",
    "cc_kernel_size": 7,
    "deformation_type": "compositive",
    "smooth_grad_sigma": 2,
    "smooth_warp_sigma": 0.5,
    "optimizer": "adam",
    "optimizer_lr": 0.5,
}
SMALLEST = 32  # voxels along an axis; it cannot register less


class FireantsRegistrar:
    """Greedy registration of the prepared arrays; on the GPU where there is one. Nothing in it is random."""

    name = "fireants"
    seed: int | None = None

    def __init__(self) -> None:
        logger = logging.getLogger("fireants")  # it tells every level of every registration
        logger.addHandler(logging.NullHandler())
        logger.propagate = False
        with redirect_stdout(io.StringIO()):  # it prints which of its own kernels there are
            from fireants.io.image import BatchedImages, Image
            from fireants.registration.greedy import GreedyRegistration

        self._image, self._batch, self._greedy = Image, BatchedImages, GreedyRegistration
        self.device = "cuda:0" if torch.cuda.is_available() else "cpu"

    def register(self, case: PreparedCase) -> Registration:
        """Register the first modalities of the prepared case."""
        threads = thread_count()
        torch.set_num_threads(threads)
        grid = case.grid
        more = [(0, max(SMALLEST - size, 0)) for size in grid.shape]
        padded = Grid((grid.shape[0] + more[0][1], grid.shape[1] + more[1][1], grid.shape[2] + more[2][1]), grid.affine)
        images = [
            self._batch([self._image(to_simpleitk(np.pad(case.array(side)[0], more), padded), device=self.device)])
            for side in ("fixed", "moving")
        ]
        greedy = self._greedy(fixed_images=images[0], moving_images=images[1], progress_bar=False, **PARAMETERS)
        greedy.optimize()
        with tempfile.TemporaryDirectory(prefix="fireants_") as folder:
            path = Path(folder) / "warp.nii.gz"
            greedy.save_as_ants_transforms([str(path)])
            i, j, k = grid.shape
            field = DisplacementField(np.ascontiguousarray(read_displacement(path)[0][:i, :j, :k]), grid)
        record = {
            "preset": "LPBA40",
            "fireants": {**PARAMETERS, "version": version("fireants")},
            "modality": case.record["modalities"][0],
            "threads": threads,
        }
        return registration_from_field(case, field, record)

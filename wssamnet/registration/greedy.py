"""Greedy (``picsl_greedy``): affine, then greedy diffeomorphic registration, from the common pre-alignment.

The calls are those of Greedy's quick start (https://greedy.readthedocs.io): local cross-correlation of
radius 2 at three levels, with Greedy's own step size and smoothing. Method: Yushkevich et al., "Fast automatic
segmentation of hippocampal subfields and medial temporal lobe subregions in 3 Tesla and 7 Tesla T2-weighted
MRI", Alzheimer's & Dementia 12, 2016.
"""

from __future__ import annotations

import io
from importlib.metadata import version

from wssamnet.preprocessing.prepared import PreparedCase
from wssamnet.registration.itk_images import field_from_vectors, to_simpleitk
from wssamnet.registration.protocol import Registration, thread_count
from wssamnet.registration.voxels import registration_from_field

AFFINE = "-a -dof 12 -ia-identity -m NCC 2x2x2 -n 100x50x10"
DEFORMABLE = "-m NCC 2x2x2 -n 100x50x10 -s 1.732vox 0.7071vox -e 1.0"


class GreedyRegistrar:
    """Affine and deformable stage on the prepared arrays, composed into one displacement field.

    Args:
        seed: of the affine stage's jitter and of the noise in flat regions.
    """

    name = "greedy"
    device = "cpu"

    def __init__(self, *, seed: int = 0) -> None:
        import picsl_greedy

        self._package = picsl_greedy
        self.seed: int | None = seed + 1  # Greedy takes 0 for "by the clock"

    def register(self, case: PreparedCase) -> Registration:
        """Register the first modalities of the prepared case."""
        import SimpleITK as sitk

        threads = thread_count()
        common = f"-threads {threads} -seed {self.seed} -V 0"
        images = {side: to_simpleitk(case.array(side)[0], case.grid) for side in ("fixed", "moving")}
        greedy, quiet = self._package.Greedy3D(), {"out": io.StringIO(), "err": io.StringIO()}
        greedy.execute(f"{AFFINE} -i fixed moving -o affine {common}", **quiet, **images, affine=None)
        # -wp 0: the warp is not rounded to a tenth of a voxel
        greedy.execute(f"{DEFORMABLE} -i fixed moving -it affine -o warp -wp 0 {common}", **quiet, warp=None)
        greedy.execute(f"-rf fixed -rc composed -r warp affine -wp 0 {common}", **quiet, composed=None)
        field = field_from_vectors(sitk.GetArrayFromImage(greedy["composed"]), case.grid)
        record = {
            "preset": "quick start",
            "greedy": {"affine": AFFINE, "deformable": DEFORMABLE, "version": version("picsl_greedy")},
            "modality": case.record["modalities"][0],
            "threads": threads,
        }
        return registration_from_field(case, field, record)

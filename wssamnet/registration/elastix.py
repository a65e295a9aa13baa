"""elastix (``itk-elastix``): affine, then B-splines, from the common pre-alignment.

The parameter maps are those that elastix itself offers as its defaults for the two stages: Mattes' mutual
information, adaptive stochastic gradient descent, four resolutions, control points 10 mm apart, bending energy.
Sources: Klein et al., "elastix: a toolbox for intensity-based medical image registration", IEEE TMI 29, 2010;
Marstal et al., "SimpleElastix", CVPR workshops 2016; Ntatsis et al., "itk-elastix", SciPy 2023.
"""

from __future__ import annotations

import tempfile
from importlib.metadata import version
from typing import Any

from wssamnet.preprocessing.prepared import PreparedCase
from wssamnet.registration.itk_images import field_from_vectors, to_itk
from wssamnet.registration.protocol import Registration, thread_count
from wssamnet.registration.voxels import registration_from_field

STAGES = ("affine", "bspline")
RESOLUTIONS = 4
ITERATIONS = 256
CONTROL_POINTS_MM = 10.0


class ElastixRegistrar:
    """Affine and B-spline stage on the prepared arrays.

    Args:
        seed: of the voxels that the metric samples.
    """

    name = "elastix"
    device = "cpu"

    def __init__(self, *, seed: int = 0) -> None:
        import itk

        self._itk = itk
        self.seed: int | None = seed
        # the package loads its parts at their first use; that is no part of registering
        for part in ("ParameterObject", "ElastixRegistrationMethod", "TransformixFilter"):
            getattr(itk, part)

    def _parameters(self) -> Any:
        parameters = self._itk.ParameterObject.New()
        for stage in STAGES:
            chosen = parameters.GetDefaultParameterMap(stage, RESOLUTIONS)
            chosen["RandomSeed"] = [str(self.seed)]
            chosen["WriteResultImage"] = ["false"]
            chosen["MaximumNumberOfIterations"] = [str(ITERATIONS)]
            if stage == "bspline":
                chosen["FinalGridSpacingInPhysicalUnits"] = [str(CONTROL_POINTS_MM)]
            parameters.AddParameterMap(chosen)
        return parameters

    def register(self, case: PreparedCase) -> Registration:
        """Register the first modalities of the prepared case."""
        threads = thread_count()
        self._itk.MultiThreaderBase.SetGlobalDefaultNumberOfThreads(threads)
        fixed, moving = (to_itk(case.array(side)[0], case.grid) for side in ("fixed", "moving"))
        _, found = self._itk.elastix_registration_method(
            fixed, moving, parameter_object=self._parameters(), number_of_threads=threads, log_to_console=False
        )
        with tempfile.TemporaryDirectory(prefix="elastix_") as folder:  # it writes the field to a file as well
            vectors = self._itk.transformix_deformation_field(
                moving, found, output_directory=folder, log_to_console=False
            )
            field = field_from_vectors(self._itk.array_from_image(vectors), case.grid)
        record = {
            "preset": "defaults",
            "elastix": {
                "stages": STAGES,
                "resolutions": RESOLUTIONS,
                "iterations": ITERATIONS,
                "control_points_mm": CONTROL_POINTS_MM,
                "version": version("itk-elastix"),
            },
            "modality": case.record["modalities"][0],
            "threads": threads,
        }
        return registration_from_field(case, field, record)

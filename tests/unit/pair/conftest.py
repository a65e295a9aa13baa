"""A pair not made by this project's simulator: the MNI152 template through SimpleITK's transforms, oblique grids."""

from __future__ import annotations

import sys
from collections.abc import Callable

import numpy as np
import pytest
import SimpleITK as sitk
from pair_samples import TEMPLATE, MadePair, reference
from scipy.ndimage import binary_erosion
from wssamnet.landmarks import Landmarks, write_landmarks


@pytest.fixture(scope="session")
def made_pair(tmp_path_factory: pytest.TempPathFactory) -> MadePair:
    """Fixed and moving scans on different oblique anisotropic grids, in files with odd names."""
    folder = tmp_path_factory.mktemp("a pair")
    rng = np.random.default_rng(0)
    brain = sitk.SmoothingRecursiveGaussian(sitk.Cast(sitk.ReadImage(str(TEMPLATE)), sitk.sitkFloat32), 1.4)
    centre = np.array(brain.TransformContinuousIndexToPhysicalPoint([(n - 1) / 2 for n in brain.GetSize()]))
    rigid = sitk.Euler3DTransform()
    rigid.SetCenter(centre.tolist())
    rigid.SetRotation(0.05, -0.04, 0.06)
    rigid.SetTranslation((3, -4, 2))
    spline = sitk.BSplineTransformInitializer(brain, [5, 5, 5])
    spline.SetParameters(rng.normal(0, 4, len(spline.GetParameters())).tolist())
    to_fixed = sitk.CompositeTransform([spline, rigid])
    fixed_grid = reference([49, 59, 40], [4, 3.7, 4.8], [0.15, -0.2, 0.3], centre)
    moving_grid = reference([56, 52, 54], [3.8, 4.2, 4], [-0.1, 0.1, 0.2], centre + np.array([3, -4, 2]))
    fixed, moving = (
        sitk.Threshold(sitk.Resample(brain, grid, transform, sitk.sitkLinear, 0.0), 50, 1e9, 0)
        for grid, transform in ((fixed_grid, sitk.Transform()), (moving_grid, to_fixed))
    )
    paths = (folder / "Bläse 1.nii.gz", folder / "later.nii")
    sitk.WriteImage(fixed, str(paths[0]))
    sitk.WriteImage(sitk.Cast(moving * 10, sitk.sitkInt16), str(paths[1]))
    inner = np.argwhere(binary_erosion(sitk.GetArrayFromImage(moving) > 0, iterations=3))[:, ::-1]
    index = inner[rng.choice(len(inner), 25, replace=False)]
    points = np.array([moving.TransformIndexToPhysicalPoint(i.tolist()) for i in index])
    truth = np.array([to_fixed.TransformPoint(p.tolist()) for p in points])
    write_landmarks(folder / "points.csv", Landmarks(tuple(range(1, 26)), points))
    return MadePair(*paths, folder / "points.csv", truth, points.round(4))


@pytest.fixture
def command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, list[str]]]:
    """The command line in this process: words to (exit status, lines of stderr)."""
    from wssamnet.cli.app import run

    def call(*words: object) -> tuple[int, list[str]]:
        monkeypatch.setattr(sys, "argv", ["wssamnet", *map(str, words)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            run()
        return int(left.value.code or 0), capsys.readouterr().err.splitlines()

    return call

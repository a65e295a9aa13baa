"""Saved transforms of ITK and ANTs mean here what they mean there; others are refused in one line."""

from __future__ import annotations

from pathlib import Path

import ants
import numpy as np
import pytest
import SimpleITK as sitk
from scipy.io import savemat
from wssamnet.errors import WssamnetError
from wssamnet.fields import AffineMap, DisplacementField
from wssamnet.geometry import Grid
from wssamnet.images import write_displacement
from wssamnet.transforms import invert, read_chain, read_transform

POINTS = np.random.default_rng(0).uniform(-80, 80, (20, 3))
CENTRE = (3.0, -7.0, 11.0)


def _affine() -> sitk.Transform:
    transform = sitk.AffineTransform(3)
    transform.SetMatrix((np.eye(3) + np.random.default_rng(1).normal(0, 0.1, (3, 3))).ravel().tolist())
    transform.SetCenter(CENTRE)
    transform.SetTranslation((4, -5, 6))
    return transform


def _euler(zyx: bool) -> sitk.Transform:
    transform = sitk.Euler3DTransform(CENTRE, 0.3, -0.2, 0.5, (4, -5, 6))
    transform.SetComputeZYX(zyx)
    return transform


ITK = {
    "affine": _affine(),
    "euler": _euler(False),
    "euler_zyx": _euler(True),
    "versor": sitk.VersorRigid3DTransform((1, 2, 3), 0.4, (1, 2, 3), CENTRE),
    "similarity": sitk.Similarity3DTransform(1.2, (1, 2, 3), 0.4, (1, 2, 3), CENTRE),
    "translation": sitk.TranslationTransform(3, (1, 2, 3)),
    "identity": sitk.Transform(3, sitk.sitkIdentity),
    "composite": sitk.CompositeTransform([_affine(), _euler(False), sitk.TranslationTransform(3, (9, 8, 7))]),
}


@pytest.mark.parametrize("name", ITK)
@pytest.mark.parametrize("ending", [".tfm", ".txt", ".h5"])
def test_itk_files_are_read_as_itk_means_them(name: str, ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"t{ending}"
    sitk.WriteTransform(ITK[name], str(path))
    theirs = np.array([ITK[name].TransformPoint(p.tolist()) for p in POINTS])
    np.testing.assert_allclose(read_transform(path)(POINTS), theirs, atol=1e-6)


def test_ants_matrix_is_read_as_ants_means_it(tmp_path: Path) -> None:
    transform = ants.new_ants_transform(dimension=3, transform_type="AffineTransform")
    transform.set_parameters(np.array([*_affine().GetParameters()]))
    transform.set_fixed_parameters(np.array(CENTRE))
    ants.write_transform(transform, str(tmp_path / "0GenericAffine.mat"))
    theirs = np.array([transform.apply_to_point(p.tolist()) for p in POINTS])
    np.testing.assert_allclose(read_transform(tmp_path / "0GenericAffine.mat")(POINTS), theirs, atol=1e-4)


def test_a_plain_matrix_is_lps(tmp_path: Path) -> None:
    (tmp_path / "m.txt").write_text("1 0 0 10\n0 1 0 20\n0 0 2 0\n\n0 0 0 1\n")
    np.testing.assert_allclose(read_transform(tmp_path / "m.txt")([[1, 2, 3]]), [[11, 22, 6]])


def test_points_travel_through_the_first_one_first() -> None:
    shift, double = np.eye(4), np.diag([2.0, 2, 2, 1])
    shift[:3, 3] = 1
    chain = read_chain([AffineMap(shift), AffineMap(double)])
    np.testing.assert_allclose(chain([[0, 0, 0]]), [[2, 2, 2]])
    np.testing.assert_allclose(invert(chain)([[2, 2, 2]]), [[0, 0, 0]])


def test_a_chain_goes_both_ways(tmp_path: Path) -> None:
    grid = Grid((30, 30, 30), np.diag([8.0, 8, 8, 1]) - np.array([[0, 0, 0, 120]] * 3 + [[0] * 4]))
    ijk = np.stack(np.meshgrid(*[np.arange(30)] * 3, indexing="ij"), axis=-1)
    write_displacement(tmp_path / "u.nii.gz", (4 * np.sin(ijk / 5)).astype(np.float32), grid)
    sitk.WriteTransform(_affine(), str(tmp_path / "a.tfm"))
    chain = read_chain([tmp_path / "a.tfm", tmp_path / "u.nii.gz"])
    there = chain(POINTS / 2)
    assert np.linalg.norm(there - POINTS / 2, axis=1).min() > 1
    np.testing.assert_allclose(invert(chain)(there), POINTS / 2, atol=0.01)


def test_outside_a_field_points_stay_as_itk_leaves_them(tmp_path: Path) -> None:
    write_displacement(tmp_path / "u.nii.gz", np.ones((8, 8, 8, 3), np.float32), Grid((8, 8, 8), np.eye(4)))
    field = read_transform(tmp_path / "u.nii.gz")
    assert isinstance(field, DisplacementField)
    np.testing.assert_allclose(field([[-3, -3, 3], [500, 0, 0]]), [[-2, -2, 4], [500, 0, 0]])


ITK_HEAD = "#Insight Transform File V1.0\n#Transform 0\n"
BAD = {
    "none.tfm": (None, "there is no such file"),
    "a.h5": ("x", "is not a transform that can be read"),
    "words.txt": ("hello\n", "is not a transform that can be read"),
    "three.txt": ("1 0 0\n0 1 0\n0 0 1\n", "is not a 4x4 matrix"),
    "flat.txt": ("1 0 0 0\n0 1 0 0\n0 0 0 0\n0 0 0 1\n", "holds a singular matrix"),
    "nan.txt": ("1 0 0 nan\n0 1 0 0\n0 0 1 0\n0 0 0 1\n", "not finite"),
    "fsl.mat": ("1 0 0 0\n0 1 0 0\n0 0 1 0\n0 0 0 1\n", "FSL"),
    "damaged.mat": ("MATLAB or so", "is not a matrix file of ANTs"),
    "empty.tfm": (ITK_HEAD, "holds no transform"),
    "few.tfm": (
        ITK_HEAD + "Transform: AffineTransform_double_3_3\nParameters: 1 2\nFixedParameters: 0 0 0\n",
        "gives a AffineTransform 2 parameters",
    ),
    "plane.tfm": (
        ITK_HEAD + "Transform: AffineTransform_double_2_2\nParameters: 1 0 0 1 0 0\nFixedParameters: 0 0\n",
        "holds a AffineTransform_double_2_2",
    ),
    "spline.tfm": (
        ITK_HEAD + "Transform: BSplineTransform_double_3_3\nParameters: 1\nFixedParameters: 0\n",
        "holds a BSplineTransform",
    ),
    "wrong.tfm": (
        ITK_HEAD + "Transform: TranslationTransform_double_3_3\nParameters: 1 b 3\nFixedParameters:\n",
        "is not a list of numbers",
    ),
    "vector.nii.gz": ("not an image", "is not a readable NIfTI image"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_file_that_is_no_transform_is_one_line(name: str, tmp_path: Path) -> None:
    content, words = BAD[name]
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(WssamnetError) as fault:
        read_transform(tmp_path / name)
    assert words in str(fault.value)
    assert str(fault.value).startswith(f"{tmp_path / name}: ")
    assert "\n" not in str(fault.value)


def test_a_matlab_file_of_something_else_is_told(tmp_path: Path) -> None:
    savemat(tmp_path / "m.mat", {"weights": np.ones(4)}, format="4")
    with pytest.raises(WssamnetError, match="holds weights"):
        read_transform(tmp_path / "m.mat")


def test_a_cut_matlab_file_is_told(tmp_path: Path) -> None:
    whole = tmp_path / "whole.mat"
    savemat(whole, {"AffineTransform_double_3_3": np.ones(12), "fixed": np.zeros(3)}, format="4")
    for length in range(1, len(whole.read_bytes())):
        (tmp_path / "cut.mat").write_bytes(whole.read_bytes()[:length])
        with pytest.raises(WssamnetError, match=r"cut\.mat: "):
            read_transform(tmp_path / "cut.mat")


def test_no_transform_is_refused() -> None:
    with pytest.raises(WssamnetError, match="no transform is given"):
        read_chain([])

"""One pair, stored in every odd but valid way: the landmarks are those of the plain way, within 0.1 mm."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
from pair_samples import TEMPLATE, reference
from scipy.ndimage import binary_erosion
from scipy.spatial.transform import Rotation
from wssamnet.geometry import Frame, Grid
from wssamnet.landmarks import Landmarks, read_landmarks, write_landmarks

TOLERANCE_MM = 0.1
TURN = np.eye(4)
TURN[:3, :3] = Rotation.from_euler("xyz", [14, -18, 25], degrees=True).as_matrix()


@dataclass(frozen=True)
class Scan:
    """int16 voxels and their RAS affine."""

    data: np.ndarray
    affine: np.ndarray


@dataclass(frozen=True)
class Plain:
    """Both scans with axes along RAS, 4 x 3.5 x 5 mm; `points` of the moving one, LPS; `found` by `register`."""

    fixed: Scan
    moving: Scan
    points: np.ndarray
    found: np.ndarray
    truth: np.ndarray


def _scan(image: sitk.Image) -> Scan:
    """From ITK's LPS, axes flipped so that they run along RAS."""
    lps = np.eye(4)
    lps[:3, :3] = np.array(image.GetDirection()).reshape(3, 3) * image.GetSpacing()
    lps[:3, 3] = image.GetOrigin()
    affine = np.diag([-1.0, -1, 1, 1]) @ lps
    return _index(Scan(np.rint(sitk.GetArrayFromImage(image).T).astype(np.int16), affine), (-1, -1, 1), (0, 1, 2))


def _index(scan: Scan, signs: tuple[int, int, int], order: tuple[int, int, int]) -> Scan:
    """The same voxels with axes flipped, then permuted."""
    data, matrix = scan.data[tuple(slice(None, None, sign) for sign in signs)], np.zeros((4, 4))
    for row, sign in enumerate(signs):
        matrix[row, order.index(row)] = sign
        matrix[row, 3] = 0 if sign > 0 else scan.data.shape[row] - 1
    matrix[3, 3] = 1
    return Scan(np.ascontiguousarray(data.transpose(order)), scan.affine @ matrix)


def _padded(scan: Scan, before: tuple[int, int, int], after: tuple[int, int, int]) -> Scan:
    affine = scan.affine.copy()
    affine[:3, 3] -= affine[:3, :3] @ before
    return Scan(np.pad(scan.data, list(zip(before, after, strict=True))), affine)


def _write(path: Path, scan: Scan, how: str) -> None:
    data, affine = scan.data, scan.affine
    if how == "oblique":
        affine = TURN @ affine
    if how == "float64":
        data = data.astype(np.float64)
    image = nib.Nifti1Image(data * 0.37 if how == "scaled integers" else data, affine)
    if how == "scaled integers":
        image.header.set_data_dtype(np.int16)  # nibabel finds scl_slope and scl_inter
    if how == "big-endian":
        image = nib.Nifti1Image(data, affine, nib.Nifti1Header(endianness=">"))
    image.set_sform(affine, 0 if how == "qform only" else 1)
    image.set_qform(affine, 1 if how == "qform only" else 0)
    nib.save(image, path)


def _stored(scan: Scan, how: str, other: bool) -> Scan:
    """The scan's voxels in another order or with more of them; the moving scan differently from the fixed one."""
    if how == "flipped":
        return _index(scan, (1, -1, -1) if other else (-1, -1, -1), (0, 1, 2))
    if how == "permuted":
        return _index(scan, (-1, 1, 1), (2, 0, 1) if other else (1, 2, 0))
    if how == "odd sizes":
        return _padded(scan, (3, 0, 2), (0, 5, 2)) if other else _padded(scan, (0, 1, 0), (2, 0, 7))
    return scan


def _registered(folder: Path, fixed: Scan, moving: Scan, points: np.ndarray, how: str) -> np.ndarray:
    from wssamnet.api import register_pair

    for name, scan in (("fixed", fixed), ("moving", moving)):
        _write(folder / f"{name}.nii.gz", _stored(scan, how, name == "moving"), how)
    turn = np.diag([-1.0, -1, 1, 1]) @ (TURN if how == "oblique" else np.eye(4)) @ np.diag([-1.0, -1, 1, 1])
    ids = tuple(range(1, len(points) + 1))
    write_landmarks(folder / "moving.csv", Landmarks(ids, points @ turn[:3, :3].T))
    result = register_pair(
        folder / "fixed.nii.gz",
        folder / "moving.nii.gz",
        folder / "out",
        landmarks=folder / "moving.csv",
    )
    assert result.landmarks is not None
    return read_landmarks(result.landmarks).points @ turn[:3, :3]


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Plain:
    """The pair in the plain way, registered."""
    rng = np.random.default_rng(3)
    brain = sitk.SmoothingRecursiveGaussian(sitk.Cast(sitk.ReadImage(str(TEMPLATE)), sitk.sitkFloat32), 1.6)
    centre = np.array(brain.TransformContinuousIndexToPhysicalPoint([(n - 1) / 2 for n in brain.GetSize()]))
    rigid = sitk.Euler3DTransform(centre.tolist(), 0.04, -0.03, 0.05, (3, -2, 2))
    spline = sitk.BSplineTransformInitializer(brain, [5, 5, 5])
    spline.SetParameters(rng.normal(0, 4, len(spline.GetParameters())).tolist())
    there = sitk.CompositeTransform([spline, rigid])
    grid = reference([54, 68, 44], [4, 3.5, 5], [0, 0, 0], centre)
    fixed, moving = (
        _scan(sitk.Threshold(sitk.Resample(brain, grid, transform, sitk.sitkLinear, 0.0), 50, 1e9, 0))
        for transform in (sitk.Transform(), there)
    )
    inner = np.argwhere(binary_erosion(moving.data > 0, iterations=3))
    ijk = inner[rng.choice(len(inner), 20, replace=False)]
    points = Grid(moving.data.shape, moving.affine).convert(ijk, Frame.IJK, Frame.LPS)
    truth = np.array([there.TransformPoint(p.tolist()) for p in points])
    found = _registered(tmp_path_factory.mktemp("plain"), fixed, moving, points, "plain")
    return Plain(fixed, moving, points, found, truth)


def test_the_plain_way_is_right(plain: Plain) -> None:
    assert np.median(np.linalg.norm(plain.points - plain.truth, axis=1)) > 4
    assert np.median(np.linalg.norm(plain.found - plain.truth, axis=1)) < 1


WAYS = ("flipped", "permuted", "oblique", "odd sizes", "float64", "scaled integers", "big-endian", "qform only")


@pytest.mark.parametrize("how", WAYS)
def test_an_odd_way_finds_the_same_points(how: str, plain: Plain, tmp_path: Path) -> None:
    found = _registered(tmp_path, plain.fixed, plain.moving, plain.points, how)
    gap = np.linalg.norm(found - plain.found, axis=1)
    # scaled integers round the intensities themselves, and the steps of a refinement enlarge that where it is flat
    limit = 1.5 * TOLERANCE_MM if how == "scaled integers" else TOLERANCE_MM
    assert gap.max() < limit, f"{gap.max():.4f} mm"

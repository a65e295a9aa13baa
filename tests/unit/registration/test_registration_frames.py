"""End to end: a known transform on native grids of every kind, both ways, through every reader, within 0.05 mm."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
from scipy.spatial.transform import Rotation
from wssamnet.fields import AffineMap, Chain, DisplacementField, InverseField
from wssamnet.files import write_json
from wssamnet.geometry import Array, Frame, Grid
from wssamnet.images import Volume, read_displacement, read_image, write_image
from wssamnet.landmarks import Landmarks, read_landmarks, write_landmarks
from wssamnet.preprocessing.prepared import PreparedCase, load_prepared
from wssamnet.registration.affine import AffineRegistrar
from wssamnet.registration.identity import IdentityRegistrar
from wssamnet.registration.protocol import Registrar, Registration, run

TOLERANCE_MM = 0.05
MARKS = 25


class KnownRegistrar:
    """Returns the transform that made the moving image."""

    name = "known"
    seed: int | None = None
    device = "cpu"

    def __init__(self, field: DisplacementField) -> None:
        self.field = field

    def register(self, case: PreparedCase) -> Registration:
        start = case.prealignment
        return Registration(Chain((self.field, start)), Chain((start.inverse(), InverseField(self.field))))


def _centre(grid: Grid) -> Array:
    return grid.convert((np.array(grid.shape) - 1) / 2, Frame.IJK, Frame.LPS)


def _moving_grid() -> Grid:
    """Oblique, one axis flipped, anisotropic, odd-sized, elsewhere in the world."""
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_euler("xyz", [-15, 25, 70], degrees=True).as_matrix() @ np.diag([3, -3.5, 4])
    affine[:3, 3] = (300, 40, -200)
    return Grid((49, 45, 41), affine)


def _start(fixed: Grid, moving: Grid) -> AffineMap:
    """Pull-back: the fixed centre onto the moving centre, turned, stretched and sheared."""
    linear = Rotation.from_euler("xyz", [5, 10, -7], degrees=True).as_matrix() @ np.diag([1.05, 0.97, 1.02])
    linear[0, 2] += 0.04
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = linear, _centre(moving) - linear @ _centre(fixed) + (4, -3, 2)
    return AffineMap(matrix)


def _bumps(points: Array, centre: Array) -> Array:
    """A smooth image in the world, (N, 3) LPS mm to (N,)."""
    p = (points - centre) / (16, 21, 26)
    ball = np.exp(-0.5 * ((points - centre) / 40) ** 2).prod(axis=-1)
    return np.asarray(1000 * ball * (1.2 + np.sin(p[..., 0] + 1) * np.cos(p[..., 1]) * np.sin(p[..., 2] + 0.5)))


def _points(grid: Grid) -> Array:
    ijk = np.stack(np.meshgrid(*[np.arange(n) for n in grid.shape], indexing="ij"), axis=-1)
    return grid.convert(ijk, Frame.IJK, Frame.LPS)


@pytest.fixture
def known(odd_grid: Grid, tmp_path: Path) -> tuple[PreparedCase, KnownRegistrar, Array]:
    """A case on a native fixed grid of each kind, its transform, and the true fixed landmarks."""
    moving = _moving_grid()
    start = _start(odd_grid, moving)
    working = odd_grid.canonical().resampled(3.5).crop((2, 1, 2), (30, 31, 29))
    wave = (_points(working) - _centre(odd_grid)) / (50, 60, 70)
    u = np.stack([6 * np.sin(wave[..., 1] + 1), 5 * np.cos(wave[..., 2]), 6 * np.sin(wave[..., 0] - 0.5)], axis=-1)
    field = DisplacementField(u.astype(np.float32), working)

    def pull_back(points: Array) -> Array:
        return start(field(points))

    folder = tmp_path / "case_k"
    folder.mkdir()
    brain = _bumps(pull_back(_points(odd_grid).reshape(-1, 3)), _centre(moving)).reshape(odd_grid.shape)
    write_image(folder / "fixed.nii.gz", Volume(brain.astype(np.float32), odd_grid))
    write_image(folder / "moving.nii.gz", Volume(_bumps(_points(moving), _centre(moving)).astype(np.float32), moving))
    for name in ("fixed", "moving", "fixed_mask", "moving_mask"):
        np.save(folder / f"{name}.npy", np.ones((1, 2, 2, 2), np.float16))  # not looked at by these registrars
    ijk = np.random.default_rng(0).uniform(0.2, 0.8, (MARKS, 3)) * (np.array(working.shape) - 1)
    truth = working.convert(ijk, Frame.IJK, Frame.LPS)
    write_landmarks(folder / "moving_landmarks.csv", Landmarks(tuple(range(1, MARKS + 1)), pull_back(truth)))
    record: dict[str, Any] = {"id": "case_k", "grid": working.to_dict(), "modalities": ["t1ce"]}
    write_json(folder / "prepared.json", {**record, "prealignment": start.matrix.tolist(), "prealigned_by": "test"})
    return load_prepared(folder), KnownRegistrar(field), truth


def _itk_points(path: Path, points: Array) -> Array:
    transform = sitk.DisplacementFieldTransform(sitk.ReadImage(str(path), sitk.sitkVectorFloat64))
    return np.array([transform.TransformPoint(p.tolist()) for p in points])


def _ants_points(path: Path, points: Array) -> Array:
    import ants
    import pandas as pd

    table = pd.DataFrame(points, columns=["x", "y", "z"])
    return np.asarray(ants.apply_transforms_to_points(3, table, [str(path)], whichtoinvert=[False])[["x", "y", "z"]])


def _nitransforms_points(path: Path, points: Array) -> Array:
    """nitransforms maps by the nearest voxel's displacement: shifted to it, mapped, shifted back."""
    from nitransforms.nonlinear import DenseFieldTransform

    field = DisplacementField(*read_displacement(path))
    grid = field.grid
    nearest = grid.convert(np.rint(grid.convert(points, Frame.LPS, Frame.IJK)), Frame.IJK, Frame.LPS)
    ras = np.array([-1.0, -1, 1])
    theirs = DenseFieldTransform.from_filename(str(path), fmt="itk").map(nearest * ras) * ras
    return np.asarray(theirs + field(points) - field(nearest))


def test_a_known_transform_both_ways(known: tuple[PreparedCase, KnownRegistrar, Array], tmp_path: Path) -> None:
    case, registrar, truth = known
    moving = case.moving_landmarks()
    assert moving is not None
    folder = run(registrar, case, tmp_path / "out")

    mapped = read_landmarks(folder / "landmarks.csv")
    assert mapped.ids == moving.ids
    assert np.abs(mapped.points - truth).max() < TOLERANCE_MM
    pull_back, push_forward = folder / "fixed_to_moving.nii.gz", folder / "moving_to_fixed.nii.gz"
    for through in (_itk_points, _ants_points, _nitransforms_points):
        assert np.abs(through(pull_back, truth) - moving.points).max() < TOLERANCE_MM, through
        assert np.abs(through(push_forward, moving.points) - truth).max() < TOLERANCE_MM, through
        assert np.abs(through(push_forward, through(pull_back, truth)) - truth).max() < TOLERANCE_MM, through
    assert read_displacement(pull_back)[1].matches(case.native_grid("fixed"))
    assert read_displacement(push_forward)[1].matches(case.native_grid("moving"))


def test_the_warped_image_is_the_fixed_one(known: tuple[PreparedCase, KnownRegistrar, Array], tmp_path: Path) -> None:
    case, registrar, _ = known
    folder = run(registrar, case, tmp_path / "out")
    warped, fixed = read_image(folder / "warped.nii.gz"), case.image("fixed")
    assert warped.grid.matches(fixed.grid)
    # where the moving scan reaches; one linear interpolation of a smooth image is all that differs
    mapped = registrar.register(case).pull_back(_points(fixed.grid).reshape(-1, 3)).reshape(*fixed.grid.shape, 3)
    seen = case.native_grid("moving").contains(mapped, margin=0)
    assert seen.mean() > 0.3
    assert np.abs(warped.data - fixed.data)[seen].max() < 0.03 * fixed.data.max()

    # and ITK makes the same image of the same files
    field = sitk.DisplacementFieldTransform(
        sitk.ReadImage(str(folder / "fixed_to_moving.nii.gz"), sitk.sitkVectorFloat64)
    )
    read = [sitk.ReadImage(str(case.folder / f"{side}.nii.gz")) for side in ("moving", "fixed")]
    theirs = sitk.GetArrayFromImage(sitk.Resample(*read, field, sitk.sitkLinear, 0.0)).T
    assert np.abs(theirs - warped.data)[seen].max() < 1e-3 * fixed.data.max()


@pytest.mark.parametrize("registrar", [IdentityRegistrar(), AffineRegistrar()], ids=["identity", "affine"])
def test_the_plain_registrars(
    known: tuple[PreparedCase, KnownRegistrar, Array], tmp_path: Path, registrar: Registrar
) -> None:
    case, _, _ = known
    moving = case.moving_landmarks()
    assert moving is not None
    pull_back = case.prealignment if registrar.name == "affine" else AffineMap()
    expected = pull_back.inverse()(moving.points)
    folder = run(registrar, case, tmp_path / "out")
    assert np.abs(read_landmarks(folder / "landmarks.csv").points - expected).max() < TOLERANCE_MM
    assert np.abs(_itk_points(folder / "moving_to_fixed.nii.gz", moving.points) - expected).max() < TOLERANCE_MM
    inside = case.grid.convert([[10, 12, 9], [20, 15, 18]], Frame.IJK, Frame.LPS)
    assert np.abs(_itk_points(folder / "fixed_to_moving.nii.gz", inside) - pull_back(inside)).max() < TOLERANCE_MM

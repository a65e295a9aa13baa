"""The baselines of other packages: directions and frames on odd grids, repeatable, records, and doing without them."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, distribution, version
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from scipy.spatial.transform import Rotation
from wssamnet.errors import MissingPackageError
from wssamnet.fields import AffineMap, Chain, DisplacementField, InverseField, resample
from wssamnet.files import write_json
from wssamnet.geometry import Array, Frame, Grid
from wssamnet.images import Volume, read_displacement
from wssamnet.landmarks import Landmarks, read_landmarks, write_landmarks
from wssamnet.preprocessing.prepared import PreparedCase, load_prepared
from wssamnet.registration.methods import OPTIONAL, make_registrar
from wssamnet.registration.protocol import run
from wssamnet.settings import Settings

MARKS = 30
# schedules for images of 40 voxels
QUICK: dict[str, dict[str, Any]] = {
    "greedy": {},
    "elastix": {"RESOLUTIONS": 2, "ITERATIONS": 40, "CONTROL_POINTS_MM": 40.0},
    "convexadam": {
        "PARAMETERS": {"mind_r": 1, "mind_d": 2, "grid_sp": 4, "disp_hw": 2, "selected_niter": 40, "grid_sp_adam": 2}
    },
    "fireants": {"PARAMETERS": {"scales": [2, 1], "iterations": [60, 30], "cc_kernel_size": 7}},
}


@pytest.fixture(params=sorted(OPTIONAL))
def method(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """One baseline after the other, with a quick schedule and one thread."""
    name, (package, command) = request.param, OPTIONAL[request.param]
    try:
        distribution(package)
    except PackageNotFoundError:
        pytest.skip(f"{package} is not installed ({command})")
    module = importlib.import_module(f"wssamnet.registration.{name}")
    for key, value in QUICK[name].items():
        monkeypatch.setattr(module, key, {**getattr(module, key), **value} if isinstance(value, dict) else value)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    return str(name)


def _start(grid: Grid) -> AffineMap:
    """A pre-alignment around the centre of the grid."""
    linear = Rotation.from_euler("xyz", [4, -6, 8], degrees=True).as_matrix() @ np.diag([1.04, 0.97, 1.02])
    centre = grid.convert((np.array(grid.shape) - 1) / 2, Frame.IJK, Frame.LPS)
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = linear, centre - linear @ centre + (5, -8, 3)
    return AffineMap(matrix)


def _case(grid: Grid, folder: Path) -> tuple[PreparedCase, Array]:
    """A prepared case on a working grid, moving(start(x + u(x))) = fixed(x), and the landmarks' true places."""
    rng = np.random.default_rng(0)
    folder.mkdir()
    ijk = np.stack(np.meshgrid(*[np.arange(n) for n in grid.shape], indexing="ij"), axis=-1)
    extent = grid.spacing * grid.shape
    centre = grid.convert((np.array(grid.shape) - 1) / 2, Frame.IJK, Frame.LPS)
    world = (grid.convert(ijk, Frame.IJK, Frame.LPS) - centre) / extent.mean() * 2 * np.pi
    # up to about two voxels, different along every axis of the world and everywhere one way: a flip or a swap is seen
    waves = [np.sin(world[..., 1]), np.cos(world[..., 2]), np.sin(world[..., 0])]
    u = np.array([5.0, -6, 4]) + 2 * np.stack(waves, axis=-1)
    field = DisplacementField(u.astype(np.float32), grid)
    inside = (np.abs(2 * ijk / (np.array(grid.shape) - 1) - 1) ** 2).sum(axis=-1) < 0.7
    texture = gaussian_filter(rng.normal(size=grid.shape), 7 / grid.spacing)
    aligned = np.clip(0.5 + 0.2 * texture / texture.std(), 0.05, 1) * inside
    fixed = resample(Volume(aligned.astype(np.float32), grid), grid, field).data
    for name, array in (("fixed", fixed), ("moving", aligned)):
        np.save(folder / f"{name}.npy", array[None].astype(np.float16))
        np.save(folder / f"{name}_mask.npy", array > 0)
    start = _start(grid)
    middle = np.argwhere((np.abs(2 * ijk / (np.array(grid.shape) - 1) - 1) ** 2).sum(axis=-1) < 0.3)
    truth = grid.convert(middle[rng.choice(len(middle), MARKS, replace=False)], Frame.IJK, Frame.LPS)
    write_landmarks(
        folder / "moving_landmarks.csv", Landmarks(tuple(range(1, MARKS + 1)), Chain((field, start))(truth))
    )
    record = {"id": folder.name, "grid": grid.to_dict(), "modalities": ["t1ce"]}
    write_json(folder / "prepared.json", {**record, "prealignment": start.matrix.tolist(), "prealigned_by": "test"})
    assert np.abs(InverseField(field)(field(truth)) - truth).max() < 0.01
    return load_prepared(folder), truth


def test_directions_and_frames(method: str, odd_grid: Grid, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    if method != "greedy" and request.node.callspec.params["odd_grid"] not in ("flipped", "oblique"):
        pytest.skip("two grids are enough for the slower ones")
    case, truth = _case(odd_grid, tmp_path / "case_b")
    moving = case.moving_landmarks()
    assert moving is not None
    registrar = make_registrar(method, Settings(seed=3))
    result = registrar.register(case)
    before = np.linalg.norm(case.prealignment(truth) - moving.points, axis=1).mean()
    assert before > 5
    assert np.linalg.norm(result.pull_back(truth) - moving.points, axis=1).mean() < 0.3 * before
    assert np.linalg.norm(result.push_forward(moving.points) - truth, axis=1).mean() < 0.3 * before
    assert np.abs(result.pull_back(result.push_forward(moving.points)) - moving.points).max() < 0.05
    assert result.record["threads"] == 1
    assert result.record[method]["version"] == version(OPTIONAL[method][0])
    assert result.record["modality"] == "t1ce"


def test_files_are_those_of_every_method(
    method: str, make_prepared: Callable[..., PreparedCase], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    case = make_prepared(shape=(32, 33, 34), amplitude=2)
    before = sorted(path.name for path in tmp_path.iterdir())
    folders = [run(make_registrar(method, Settings()), case, tmp_path / name) for name in ("first", "second")]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*before, "first", "second"]), "strange files"
    first, second = (read_displacement(folder / "fixed_to_moving.nii.gz")[0] for folder in folders)
    np.testing.assert_array_equal(first, second)
    truth = read_landmarks(case.folder / "truth.csv").points
    found = read_landmarks(folders[0] / "landmarks.csv").points
    moving = case.moving_landmarks()
    assert moving is not None
    before_mm, after_mm = (np.linalg.norm(points - truth, axis=1).mean() for points in (moving.points, found))
    assert after_mm < before_mm


@pytest.mark.parametrize("method_name", sorted(OPTIONAL))
def test_without_its_package_the_command_to_install_is_said(method_name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from wssamnet.registration import methods

    def absent(name: str) -> None:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(methods, "distribution", absent)
    package, command = OPTIONAL[method_name]
    with pytest.raises(MissingPackageError) as caught:
        make_registrar(method_name, Settings())
    assert str(caught.value) == f"{method_name}: needs the package {package}, which is not installed ({command})"

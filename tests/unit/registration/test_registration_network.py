"""The learned registrars: a voxel field becomes mm, composed with the pre-alignment, both ways."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.ndimage import map_coordinates
from scipy.spatial.transform import Rotation
from wssamnet.errors import ModelError
from wssamnet.fields import AffineMap
from wssamnet.files import write_json
from wssamnet.geometry import Frame, Grid
from wssamnet.models.persistence import build_model, save_model
from wssamnet.models.predict import predict
from wssamnet.preprocessing.prepared import PreparedCase, load_prepared
from wssamnet.preprocessing.seen import seen_at
from wssamnet.registration import network
from wssamnet.registration.methods import make_registrar
from wssamnet.registration.network import Network
from wssamnet.registration.protocol import run
from wssamnet.registration.refined import RefinedWssamnetRegistrar
from wssamnet.registration.voxels import registration_from_voxels
from wssamnet.settings import Settings

SHAPE = (18, 16, 17)
Make = Callable[..., PreparedCase]


@pytest.fixture
def oblique_case(make_prepared: Make) -> PreparedCase:
    case = make_prepared(shape=SHAPE)
    affine, start = np.eye(4), np.eye(4)
    affine[:3, :3] = Rotation.from_euler("xyz", [20, -35, 100], degrees=True).as_matrix() @ np.diag([3.1, -2.7, 4.3])
    affine[:3, 3] = (11.5, -40.25, 3)
    start[:3, :3] = Rotation.from_euler("xyz", [4, -3, 2], degrees=True).as_matrix() * 1.05
    start[:3, 3] = (3, -5, 2)
    record = {**case.record, "grid": Grid(SHAPE, affine).to_dict(), "prealignment": start.tolist()}
    write_json(case.folder / "prepared.json", record)
    return load_prepared(case.folder)


def _trained(folder: Path, kind: Any, channels: int = 1, **values: Any) -> Any:
    """A model with a field that is not zero."""
    torch.manual_seed(0)
    settings = Settings(**values)
    model = build_model(kind, settings, channels)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.02 * torch.randn_like(parameter))
    save_model(folder, model, kind=kind, settings=settings, channels=channels)
    return model.eval()


def test_voxels_become_mm_before_the_prealignment(oblique_case: PreparedCase) -> None:
    ijk = np.stack(np.meshgrid(*[np.arange(n) for n in SHAPE], indexing="ij"), axis=-1)
    u = np.stack([np.sin(ijk[..., axis - 1] / 4) for axis in range(3)], axis=-1).astype(np.float32)
    result = registration_from_voxels(oblique_case, u, {"a": 1})
    voxel = np.array([[3, 4, 5], [9, 2, 11], [15, 8, 2]])
    moved = voxel + np.stack([map_coordinates(u[..., c], voxel.T.astype(float), order=1) for c in range(3)], axis=-1)
    grid = oblique_case.grid
    expected = oblique_case.prealignment(grid.convert(moved, Frame.IJK, Frame.LPS))
    points = grid.convert(voxel, Frame.IJK, Frame.LPS)
    np.testing.assert_allclose(result.pull_back(points), expected, atol=1e-4)
    np.testing.assert_allclose(result.push_forward(expected), points, atol=5e-3)
    assert result.record == {"a": 1}


def test_a_field_that_is_not_finite(oblique_case: PreparedCase) -> None:
    u = np.full((*SHAPE, 3), np.inf, np.float32)
    with pytest.raises(ModelError, match="case_a: the network gave a displacement that is not finite"):
        registration_from_voxels(oblique_case, u, {})


@pytest.mark.parametrize("kind", ["wssamnet", "voxelmorph"])
def test_a_trained_model_registers(kind: str, oblique_case: PreparedCase, tmp_path: Path) -> None:
    model = _trained(tmp_path / "model", kind, seed=11)
    registrar = make_registrar(kind, Settings(), model=tmp_path / "model")
    folder = run(registrar, oblique_case, tmp_path / "out")
    assert folder.parent.name == kind

    u = predict(model, oblique_case.array("fixed"), oblique_case.array("moving"))
    assert np.abs(u).max() > 1e-3
    points = oblique_case.grid.convert([[3, 4, 5], [9, 2, 11]], Frame.IJK, Frame.LPS)
    step = oblique_case.grid.vectors(u[[3, 9], [4, 2], [5, 11]], Frame.IJK, Frame.LPS)
    result = registrar.register(oblique_case)
    # the model may have been moved to a GPU
    np.testing.assert_allclose(result.pull_back(points), oblique_case.prealignment(points + step), atol=1e-2)
    assert isinstance(oblique_case.prealignment, AffineMap)

    record = json.loads((folder / "run.json").read_text())
    assert record["model"]["kind"] == kind
    assert record["model"]["preset"] == "paper"
    assert record["model"]["seed"] == 11
    assert len(record["model"]["sha256"]) == 64
    assert record["model"]["network_spacing_mm"] is None
    assert record["device"] == ("cuda:0" if torch.cuda.is_available() else "cpu")
    assert record["landmark_round_trip"]["not_inverted"] == 0


def test_a_refined_network_names_its_device_and_the_refinements(
    oblique_case: PreparedCase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _trained(tmp_path / "model", "wssamnet", seed=1)

    class Elsewhere(Network):
        def __init__(self, *words: Any, **options: Any) -> None:
            super().__init__(*words, **options)
            self.device = "cuda:0"

    monkeypatch.setattr("wssamnet.registration.network.Network", Elsewhere)
    made = make_registrar("wssamnet_refined", Settings(), model=tmp_path / "model")
    assert made.device == "cuda:0, cpu"
    monkeypatch.undo()
    if not torch.cuda.is_available():
        assert make_registrar("wssamnet_refined", Settings(), model=tmp_path / "model").device == "cpu"


@pytest.mark.skipif(torch.cuda.device_count() in (1, 2), reason="with one or two GPUs there are no three devices")
def test_three_devices_predict_what_one_does(oblique_case: PreparedCase, tmp_path: Path) -> None:
    model = _trained(tmp_path / "model", "wssamnet")
    registrar = make_registrar("wssamnet", Settings(), model=tmp_path / "model", three_devices=True)
    images = oblique_case.array("fixed"), oblique_case.array("moving")
    found = predict(registrar.network.module, *images)  # type: ignore[attr-defined]
    tolerance = 1e-2 if torch.cuda.is_available() else 0
    np.testing.assert_allclose(found, predict(model, *images), atol=tolerance, rtol=0)
    assert registrar.device == ("cuda:0, cuda:1, cuda:2" if torch.cuda.is_available() else "cpu")


def test_other_modalities_than_it_was_trained_on(oblique_case: PreparedCase, tmp_path: Path) -> None:
    _trained(tmp_path / "model", "wssamnet", channels=2, modalities=("t1ce", "t2"))
    registrar = make_registrar("wssamnet", Settings(), model=tmp_path / "model")
    with pytest.raises(ModelError, match="case_a: is prepared with t1ce, the model was trained on t1ce, t2"):
        registrar.register(oblique_case)


SEEN = "the network sees voxels of 3.1 x 2.7 x 4.3 mm and was trained on voxels of 1 x 1 x 1 mm (prepare the case with"


@pytest.mark.parametrize("method", ["wssamnet", "voxelmorph", "wssamnet_refined"])
def test_voxels_of_another_size_than_the_training_saw_are_warned_of(
    method: str, oblique_case: PreparedCase, tmp_path: Path
) -> None:
    _trained(tmp_path, method.removesuffix("_refined"))
    for edges, warns in (([3.1, 2.7, 4.3], False), ([3.1, 2.7, 4.0], False), ([1, 1, 1], True), (["x"], False)):
        write_json(tmp_path / "training.json", {"spacing_mm": edges})
        registrar = make_registrar(method, Settings(refinement="fast"), model=tmp_path)
        lines = registrar.register(oblique_case).record.get("warnings", [])
        assert [line.startswith(SEEN) for line in lines] == [True] * warns


def test_the_command_line_says_what_a_registrar_warns_of(oblique_case: PreparedCase, tmp_path: Path) -> None:
    _trained(tmp_path / "model", "wssamnet")
    write_json(tmp_path / "model" / "training.json", {"spacing_mm": [1, 1, 1]})
    words = (
        "-m",
        "wssamnet.cli",
        "register-cases",
        "wssamnet",
        oblique_case.folder,
        "--out",
        "out",
        "--model",
        "model",
    )
    command = [sys.executable, *map(str, words)]
    answer = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert answer.returncode == 0, answer.stderr
    assert f"wssamnet: wssamnet, {oblique_case.id}: {SEEN}" in answer.stderr


def test_a_model_of_another_kind(tmp_path: Path) -> None:
    _trained(tmp_path / "model", "voxelmorph")
    with pytest.raises(ModelError, match="holds a voxelmorph model"):
        make_registrar("wssamnet", Settings(), model=tmp_path / "model")


def _places(grid: Grid) -> np.ndarray:
    ijk = np.stack(np.meshgrid(*map(np.arange, grid.shape), indexing="ij"), axis=-1)
    return grid.convert(ijk, Frame.IJK, Frame.LPS)


def test_a_field_at_the_networks_voxels_is_the_same_millimetres_at_the_working_ones(
    oblique_case: PreparedCase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _trained(tmp_path / "model", "wssamnet", network_spacing_mm=7.5)
    seen = seen_at(oblique_case, 7.5)
    middle = _places(seen.grid).mean(axis=(0, 1, 2))
    slope = np.random.default_rng(0).normal(size=(3, 3)) / 20

    def field(places: np.ndarray) -> np.ndarray:  # mm; linear, so that linear interpolation keeps it
        return np.asarray((places - middle) @ slope.T + (3, -2, 1))

    def known(module: Any, fixed: np.ndarray, moving: np.ndarray, *, rough: bool) -> np.ndarray:
        assert fixed.shape == moving.shape == (1, *seen.grid.shape)
        return seen.grid.vectors(field(_places(seen.grid)), Frame.LPS, Frame.IJK).astype(np.float32)

    monkeypatch.setattr(network, "predict", known)
    u = Network(tmp_path / "model", "wssamnet").predict(oblique_case)
    assert u.shape == (*SHAPE, 3)
    found = oblique_case.grid.vectors(u, Frame.IJK, Frame.LPS)
    inner = (slice(2, -2),) * 3  # beyond the middle of the outermost voxels the field is continued as at the border
    np.testing.assert_allclose(found[inner], field(_places(oblique_case.grid))[inner], atol=1e-3)
    np.testing.assert_allclose(found[0, 0, 0], field(_places(seen.grid)[0, 0, 0]), atol=1e-3)


@pytest.mark.parametrize("method", ["wssamnet", "voxelmorph", "wssamnet_refined"])
def test_every_learned_method_sees_the_models_voxels(method: str, oblique_case: PreparedCase, tmp_path: Path) -> None:
    kind = method.removesuffix("_refined")
    model = _trained(tmp_path / "model", kind, network_spacing_mm=6)
    seen = seen_at(oblique_case, 6)
    assert seen.grid.shape == (9, 7, 12)
    u = predict(model, seen.array("fixed"), seen.array("moving"))
    assert np.abs(u).max() > 1e-3
    registrar = make_registrar(method, Settings(refinement="fast"), model=tmp_path / "model")
    refined = isinstance(registrar, RefinedWssamnetRegistrar)
    found = registrar.start(oblique_case) if refined else registrar.network.predict(oblique_case)  # type: ignore[attr-defined]
    where = np.moveaxis(seen.grid.convert(_places(oblique_case.grid), Frame.LPS, Frame.IJK), -1, 0)
    steps = [map_coordinates(u[..., axis], where, order=1, mode="nearest") for axis in range(3)]
    expected = np.stack(steps, axis=-1) * seen.grid.spacing / oblique_case.grid.spacing
    # a start may be made in bfloat16, and the model may have been moved to a GPU
    np.testing.assert_allclose(found, expected, atol=0.1 if refined else 1e-2)
    result = registrar.register(oblique_case)
    assert result.record["model"]["network_spacing_mm"] == 6
    if not refined:
        points = oblique_case.grid.convert([[3, 4, 5], [9, 2, 11]], Frame.IJK, Frame.LPS)
        step = oblique_case.grid.vectors(found[[3, 9], [4, 2], [5, 11]], Frame.IJK, Frame.LPS)
        np.testing.assert_allclose(result.pull_back(points), oblique_case.prealignment(points + step), atol=1e-2)

"""Model folders: what goes in comes out, and nothing else is let in."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from wssamnet.errors import ModelError
from wssamnet.models.persistence import build_model, load_model, save_model
from wssamnet.models.predict import predict
from wssamnet.settings import make_settings

SETTINGS = make_settings("best", {"features": 2, "levels": 2})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    model = build_model("wssamnet", SETTINGS, 1)
    return save_model(tmp_path / "model", model, kind="wssamnet", settings=SETTINGS, channels=1)


@pytest.mark.parametrize("kind", ["wssamnet", "voxelmorph"])
def test_a_loaded_model_predicts_what_the_saved_one_did(tmp_path: Path, kind: str) -> None:
    model = build_model(kind, SETTINGS, 2)  # type: ignore[arg-type]
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.01)  # away from the identity
    save_model(tmp_path / "m", model, kind=kind, settings=SETTINGS, channels=2)  # type: ignore[arg-type]
    fixed, moving = np.random.default_rng(0).random((2, 2, 11, 16, 9)).astype(np.float16)
    loaded = load_model(tmp_path / "m", kind)  # type: ignore[arg-type]
    assert not loaded.training
    found, wanted = predict(loaded, fixed, moving), predict(model.eval(), fixed, moving)
    assert found.shape == (11, 16, 9, 3)
    assert found.dtype == np.float32
    assert np.array_equal(found, wanted)
    assert np.abs(found).max() > 1e-3


def test_the_displacement_is_in_ijk_order(folder: Path) -> None:
    model = load_model(folder)
    with torch.no_grad():
        model.registration.output.weight.zero_()  # type: ignore[union-attr]
        model.registration.output.bias.copy_(torch.tensor([1.0, 2.0, 3.0]))  # type: ignore[union-attr]
    image = np.ones((1, 8, 9, 10))
    np.testing.assert_allclose(predict(model, image, image), np.broadcast_to([2.0, 4.0, 6.0], (8, 9, 10, 3)))


def test_empty_surroundings_change_nothing(folder: Path) -> None:
    model = load_model(folder)
    with torch.no_grad():
        model.registration.output.weight.normal_(std=0.1)  # type: ignore[union-attr]
    fixed, moving = np.random.default_rng(1).random((2, 1, 9, 8, 11))
    alone = predict(model, fixed, moving)
    around = [(0, 0), (3, 4), (0, 5), (7, 0)]
    field = predict(model, np.pad(fixed, around), np.pad(moving, around))
    assert field.shape == (16, 13, 18, 3)
    assert np.array_equal(field[3:12, :8, 7:], alone)
    assert np.array_equal(field[0, :8, 7:], alone[0])  # and beyond the box it goes on as at the border


def test_images_that_do_not_fit_are_refused(folder: Path) -> None:
    model = load_model(folder)
    with pytest.raises(ModelError, match=r"shapes \(2, 8, 8, 8\) and \(2, 8, 8, 8\) .* 1 channels, as it was trained"):
        predict(model, np.zeros((2, 8, 8, 8)), np.zeros((2, 8, 8, 8)))
    with pytest.raises(ModelError, match="does not register"):
        predict(build_model("segmentation", SETTINGS, 1), np.zeros((1, 8, 8, 8)), np.zeros((1, 8, 8, 8)))


def test_an_empty_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=rf"{tmp_path}: holds no model: settings.json is missing"):
        load_model(tmp_path)


def test_another_kind_is_refused(folder: Path) -> None:
    with pytest.raises(ModelError, match=r"holds a wssamnet model \(a voxelmorph model is wanted here\)"):
        load_model(folder, "voxelmorph")


def test_a_damaged_description_is_named(folder: Path) -> None:
    (folder / "settings.json").write_text("{")
    with pytest.raises(ModelError, match=r"settings.json: is damaged"):
        load_model(folder)
    (folder / "settings.json").write_text(json.dumps({"kind": "wssamnet", "channels": 1, "settings": {"levels": 99}}))
    with pytest.raises(ModelError, match=r"settings.json: is damaged: 1 values are not allowed"):
        load_model(folder)


def test_truncated_weights_are_named(folder: Path) -> None:
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(ModelError, match=r"model.safetensors: is damaged or not a safetensors file"):
        load_model(folder)


class Harmful:
    """Writes a file when it is unpickled."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return Path.touch, (self.target,)


def test_a_pickle_in_place_of_weights_is_refused_and_not_run(folder: Path, tmp_path: Path) -> None:
    (folder / "model.safetensors").write_bytes(pickle.dumps(Harmful(tmp_path / "ran")))
    with pytest.raises(ModelError, match="not a safetensors file"):
        load_model(folder)
    assert not (tmp_path / "ran").exists()


def test_weights_of_another_shape_are_refused(folder: Path) -> None:
    content = json.loads((folder / "settings.json").read_text())
    content["settings"]["features"] = 4
    (folder / "settings.json").write_text(json.dumps(content))
    with pytest.raises(ModelError, match=r"does not fit the network that settings.json describes: .*size mismatch"):
        load_model(folder)

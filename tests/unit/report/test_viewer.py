"""What the viewer of a case is given: exact where it must be, and of a bounded size."""

from __future__ import annotations

import base64
import io
import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter
from wssamnet.report.viewer import CASE_BYTES, case_volumes, differences, packed, sprite, sprite_columns

METHODS = ("identity", "affine", "ants", "voxelmorph", "wssamnet", "refinement", "wssamnet_refined")


def _unpacked(part: dict[str, Any]) -> np.ndarray:
    values = np.frombuffer(zlib.decompress(base64.b64decode(part["data"])), dtype=np.uint8)
    x, y, _ = part["shape"]
    return values.reshape(-1, y, x)


def _summed(values: np.ndarray) -> np.ndarray:
    return np.cumsum(np.cumsum(values, axis=-2, dtype=np.uint8), axis=-1, dtype=np.uint8).view(np.int8)


def test_packing_loses_nothing() -> None:
    rng = np.random.default_rng(0)
    values = rng.integers(-128, 128, (3, 4, 5, 9)).astype(np.int8)
    np.testing.assert_array_equal(_summed(differences(values)), values)
    codes = rng.integers(0, 256, (5, 6, 7)).astype(np.uint8)
    assert packed(codes)["shape"] == [7, 6, 5]
    np.testing.assert_array_equal(_unpacked(packed(codes)), codes)


def test_a_sprite_holds_every_slice() -> None:
    volume = np.arange(7 * 4 * 5, dtype=np.uint8).reshape(7, 4, 5)
    columns = sprite_columns(volume.shape)
    image = sprite(volume)
    assert image.shape[1] == 5 * columns
    for z in range(7):
        row, column = divmod(z, columns)
        np.testing.assert_array_equal(image[4 * row : 4 * row + 4, 5 * column : 5 * column + 5], volume[z])


def test_a_case_is_what_its_files_say(finished: Any) -> None:
    folders = {method: finished.evaluation / method / "c-x" for method in ("identity", "ants", "mine.co")}
    content = case_volumes(folders, "l1")
    assert content is not None
    assert [method["name"] for method in content["methods"]] == ["ants", "mine.co"]
    with np.load(folders["ants"] / "volumes.npz") as volumes:
        assert content["shape"] == list(volumes["fixed"].shape[::-1])
        np.testing.assert_array_equal(_unpacked(content["methods"][0]["jacobian"]), volumes["log_jacobian"])
        displacement = _summed(_unpacked(content["methods"][0]["displacement"]))
        np.testing.assert_array_equal(displacement.reshape(volumes["displacement"].shape), volumes["displacement"])
        to_display = volumes["to_display"]
        picture = Image.open(io.BytesIO(base64.b64decode(content["fixed"])))
        assert picture.size == sprite(volumes["fixed"]).shape[::-1]
        assert np.abs(np.asarray(picture.convert("L"), dtype=float) - sprite(volumes["fixed"])).mean() < 6
    table = pd.read_csv(folders["ants"] / "landmarks.csv")
    place = to_display @ [*table.loc[2, ["fixed_x", "fixed_y", "fixed_z"]], 1]
    assert content["landmarks"]["fixed"][2] == pytest.approx(place[:3], abs=0.06)
    assert content["landmarks"]["before"][2] == pytest.approx(table.loc[2, "initial_l1"], abs=0.006)
    assert content["methods"][0]["after"][2] == pytest.approx(table.loc[2, "l1"], abs=0.006)
    back = np.array(content["to_lps"]) @ [*content["landmarks"]["fixed"][2], 1]
    assert back == pytest.approx(table.loc[2, ["fixed_x", "fixed_y", "fixed_z"]].to_numpy(dtype=float), abs=0.1)


def _full_size(folder: Path, method: str) -> Path:
    """Volumes as a pair of 240 x 240 x 155 voxels leaves them, with more noise than scans have."""
    rng = np.random.default_rng(METHODS.index(method))
    axes = np.stack(np.meshgrid(*[np.linspace(-1, 1, n) for n in (77, 93, 76)], indexing="ij"))
    brain = (axes**2).sum(axis=0) < 0.85
    texture = gaussian_filter(rng.normal(size=brain.shape), 2) * 400 + 110 + rng.normal(0, 8, brain.shape)
    image = (texture.clip(1, 255) * brain).astype(np.uint8)
    change = gaussian_filter(rng.normal(size=(31, 38, 31)), 2) * 150
    field = np.stack([gaussian_filter(rng.normal(size=(20, 23, 20)), 1.5) for _ in range(3)])
    folder.mkdir(parents=True)
    np.savez(
        folder / "volumes.npz",
        fixed=image,
        moving=image[::-1],
        warped=image[:, ::-1],
        log_jacobian=np.clip(128 + change, 1, 254).astype(np.uint8),
        displacement=np.rint(field / np.abs(field).max() * 50).astype(np.int8),
        scale=np.array(0.3),
        spacing=np.full((3, 3), 2.0),
        to_display=np.eye(4),
    )
    return folder


def test_a_case_of_full_size_is_bounded(tmp_path: Path) -> None:
    folders = {method: _full_size(tmp_path / method, method) for method in METHODS}
    content = case_volumes(folders, "euclidean")
    size = len(json.dumps(content))
    assert 0.5 * CASE_BYTES < size < CASE_BYTES + 5_000
    few = case_volumes({method: folders[method] for method in METHODS[:2]}, "euclidean")
    assert few is not None
    assert len(few["fixed"]) > len(content["fixed"])  # fewer images, more of each


def test_nothing_to_look_through(tmp_path: Path) -> None:
    assert case_volumes({"ants": tmp_path}, "euclidean") is None

"""One pair through the command line, and its transforms through other people's tools."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from pair_samples import MadePair
from PIL import Image
from wssamnet.fields import resample
from wssamnet.geometry import Frame
from wssamnet.images import Volume, read_displacement, read_grid, read_image, write_image
from wssamnet.landmarks import read_landmarks

Command = Callable[..., tuple[int, list[str]]]


@pytest.fixture(scope="module")
def registered(made_pair: MadePair, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pair's result, two modalities (the moving one twice)."""
    from wssamnet.api import register_pair

    out = tmp_path_factory.mktemp("registered") / "out"
    second = [out.parent / name for name in ("second_fixed.nii.gz", "second_moving.nii.gz")]
    for path, source in zip(second, (made_pair.fixed, made_pair.moving), strict=True):
        image = read_image(source)
        write_image(path, Volume(np.sqrt(image.data), image.grid))
    result = register_pair(
        [made_pair.fixed, second[0]],
        [made_pair.moving, second[1]],
        out,
        landmarks=made_pair.landmarks,
        refinement="accurate",
    )
    assert result.folder == out
    return out


def test_landmarks_come_to_their_place(made_pair: MadePair, registered: Path) -> None:
    before = np.linalg.norm(made_pair.points - made_pair.truth, axis=1)
    after = np.linalg.norm(read_landmarks(registered / "landmarks.csv").points - made_pair.truth, axis=1)
    assert np.median(before) > 5
    assert np.median(after) < 0.8
    assert after.max() < 2.5


def test_every_file_is_there_and_on_its_grid(made_pair: MadePair, registered: Path) -> None:
    assert {path.name for path in registered.iterdir()} == {
        *("warped.nii.gz", "warped_2.nii.gz", "fixed_to_moving.nii.gz", "moving_to_fixed.nii.gz"),
        *("landmarks.csv", "run.json", "planes.png"),
    }
    for name in ("warped.nii.gz", "warped_2.nii.gz"):
        assert read_grid(registered / name).matches(read_grid(made_pair.fixed))
    first, second = (read_image(registered / name).data for name in ("warped.nii.gz", "warped_2.nii.gz"))
    assert np.corrcoef(np.sqrt(first[first > 500]), second[first > 500])[0, 1] > 0.97
    fixed = read_image(made_pair.fixed).data
    assert np.corrcoef(first[fixed > 0], fixed[fixed > 0])[0, 1] > 0.95
    with Image.open(registered / "planes.png") as picture:
        assert picture.width > 800
        assert len(picture.convert("L").getcolors() or ()) > 100
    assert (registered / "planes.png").stat().st_size < 250_000
    record = json.loads((registered / "run.json").read_text())
    assert record["inputs"]["moving_1"] == str(made_pair.moving)
    assert record["regularity"]["folding"] == 0
    assert record["landmark_round_trip"]["not_inverted"] == 0


def _ants(path: Path, points: np.ndarray) -> np.ndarray:
    import ants
    import pandas as pd

    table = pd.DataFrame(points, columns=["x", "y", "z"])
    return np.asarray(ants.apply_transforms_to_points(3, table, [str(path)], whichtoinvert=[False])[["x", "y", "z"]])


def _itk(path: Path, points: np.ndarray) -> np.ndarray:
    field = sitk.Cast(sitk.ReadImage(str(path)), sitk.sitkVectorFloat64)
    transform = sitk.DisplacementFieldTransform(field)
    return np.array([transform.TransformPoint(p.tolist()) for p in points])


def _nitransforms(path: Path, points: np.ndarray) -> np.ndarray:
    from nitransforms.nonlinear import DenseFieldTransform

    ras = np.array([-1, -1, 1])
    return np.asarray(DenseFieldTransform.from_filename(str(path), fmt="itk").map(points * ras) * ras)


@pytest.mark.parametrize("name", ["fixed_to_moving.nii.gz", "moving_to_fixed.nii.gz"])
def test_other_tools_give_the_same_points(
    name: str, made_pair: MadePair, registered: Path, tmp_path: Path, command: Command
) -> None:
    source = made_pair.truth if name.startswith("fixed") else made_pair.points
    points = tmp_path / "points.csv"
    grid = read_displacement(registered / name)[1]
    centres = grid.convert(np.rint(grid.convert(source, Frame.LPS, Frame.IJK)), Frame.IJK, Frame.LPS)
    for places, tools in ((source, (_ants, _itk)), (centres, (_nitransforms,))):  # it reads the nearest voxel
        rows = "".join(f"{i},{x:.6f},{y:.6f},{z:.6f}\n" for i, (x, y, z) in enumerate(places))
        points.write_text("Landmark,X,Y,Z\n" + rows)
        assert command("apply", "--transform", registered / name, "--points", points, "--out", tmp_path / "o.csv") == (
            0,
            [],
        )
        ours = read_landmarks(tmp_path / "o.csv").points
        assert np.linalg.norm(ours - places, axis=1).min() > 1
        for tool in tools:
            assert np.abs(tool(registered / name, places) - ours).max() < 0.05, tool.__name__


def test_the_exported_field_and_the_landmarks_agree(made_pair: MadePair, registered: Path) -> None:
    exact = read_landmarks(registered / "landmarks.csv").points
    assert np.abs(_itk(registered / "moving_to_fixed.nii.gz", made_pair.points) - exact).max() < 0.1


def test_images_warped_by_simpleitk_are_ours(made_pair: MadePair, registered: Path) -> None:
    field = sitk.Cast(sitk.ReadImage(str(registered / "fixed_to_moving.nii.gz")), sitk.sitkVectorFloat64)
    moving = sitk.Cast(sitk.ReadImage(str(made_pair.moving)), sitk.sitkFloat32)
    theirs = sitk.Resample(moving, sitk.ReadImage(str(made_pair.fixed)), sitk.DisplacementFieldTransform(field))
    ours = read_image(registered / "warped.nii.gz").data
    gap = np.abs(np.transpose(sitk.GetArrayFromImage(theirs)) - ours)[2:-2, 2:-2, 2:-2]
    assert gap.max() < 0.01 * ours.max()


def test_a_lesion_does_not_pull(made_pair: MadePair, tmp_path: Path) -> None:
    """A bright ball beside the place of the fixed scan's own: matched unless it is excluded."""
    from wssamnet.api import register_pair

    pair: dict[str, Path] = {}
    fixed = read_image(made_pair.fixed)
    grid = fixed.grid.resampled(5)
    plain = resample(fixed, grid)
    ijk = np.stack(np.meshgrid(*[np.arange(n) for n in grid.shape], indexing="ij"), axis=-1)
    centre = np.array(grid.shape) // 2 + [6, 0, 0]
    probe = grid.convert(centre[None], Frame.IJK, Frame.LPS)
    for side, place in (("fixed", centre), ("moving", centre + np.array([2, 0, 0]))):
        ball = np.linalg.norm(ijk - place, axis=-1) < 3
        pair[side] = tmp_path / f"{side}.nii.gz"
        pair[f"{side}_lesion"] = tmp_path / f"{side}_lesion.nii.gz"
        write_image(pair[side], Volume(np.where(ball, 2 * plain.data.max(), plain.data).astype(np.float32), grid))
        write_image(pair[f"{side}_lesion"], Volume(ball, grid))
    moved = []
    for lesions in ({}, {name: pair[name] for name in ("fixed_lesion", "moving_lesion")}):
        out = register_pair(pair["fixed"], pair["moving"], tmp_path / "out", refinement="fast", **lesions)
        moved.append(np.linalg.norm(_itk(out.fixed_to_moving, probe) - probe))
    assert moved[0] > 4
    assert moved[1] < 1.5

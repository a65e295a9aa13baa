"""The challenge's contract: names, directions and values of every file; nothing done when a case is wrong."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from pair_samples import MadePair
from wssamnet.fields import resample
from wssamnet.images import Volume, read_image, write_image
from wssamnet.landmarks import read_landmarks

Command = Callable[..., tuple[int, list[str]]]
STEMS = ("00_0000", "01_0106")


@pytest.fixture(scope="module")
def hidden_case(made_pair: MadePair, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A case as the hidden test has them: landmarks of the follow-up alone."""
    root = tmp_path_factory.mktemp("in")
    folder = root / "BraTSReg_007"
    folder.mkdir()
    for stem, path in zip(STEMS, (made_pair.fixed, made_pair.moving), strict=True):
        image = read_image(path)
        coarse = resample(image, image.grid.resampled(6))  # it is quick
        for modality, share in (("t1ce", 1.0), ("t2", 0.5)):
            write_image(folder / f"BraTSReg_007_{stem}_{modality}.nii.gz", Volume(coarse.data * share, coarse.grid))
    shutil.copy(made_pair.landmarks, folder / f"BraTSReg_007_{STEMS[1]}_landmarks.csv")
    return root


def _mapped(field: Path, points: np.ndarray) -> np.ndarray:
    """Points through a displacement field, by ITK."""
    transform = sitk.DisplacementFieldTransform(sitk.ReadImage(str(field), sitk.sitkVectorFloat64))
    return np.array([transform.TransformPoint(point.tolist()) for point in points])


def test_every_file_is_what_the_challenge_calls_it(
    hidden_case: Path, made_pair: MadePair, tmp_path: Path, command: Command
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "mine.txt").write_text("stays")
    status, said = command("generate-output", "-i", hidden_case, "-o", out, "-d", "-r", "--refinement", "fast")
    assert status == 0, said
    names = (".csv", "_detj.nii.gz", "_df_b2f.nii.gz", "_df_f2b.nii.gz", "_t1ce_f2b.nii.gz", "_t2_f2b.nii.gz")
    assert {path.name for path in out.iterdir()} == {"mine.txt", *(f"BraTSReg_007{name}" for name in names)}

    before = np.linalg.norm(made_pair.points - made_pair.truth, axis=1).mean()
    found = read_landmarks(out / "BraTSReg_007.csv").points
    assert np.linalg.norm(found - made_pair.truth, axis=1).mean() < 0.6 * before
    # f2b carries follow-up points to baseline, b2f brings them back
    np.testing.assert_allclose(_mapped(out / "BraTSReg_007_df_f2b.nii.gz", made_pair.points), found, atol=0.2)
    assert np.abs(_mapped(out / "BraTSReg_007_df_b2f.nii.gz", found) - made_pair.points).max() < 0.3

    # det J belongs to b2f. ITK's filter takes the vectors as if along the voxel axes, so on an oblique grid they
    # have to be turned there first: x·D is Dᵀx
    field = sitk.ReadImage(str(out / "BraTSReg_007_df_b2f.nii.gz"), sitk.sitkVectorFloat64)
    direction = np.array(field.GetDirection()).reshape(3, 3)
    turned = sitk.GetImageFromArray(sitk.GetArrayFromImage(field) @ direction, isVector=True)
    turned.SetSpacing(field.GetSpacing())
    theirs = sitk.GetArrayFromImage(sitk.DisplacementFieldJacobianDeterminant(turned)).transpose(2, 1, 0)
    ours = read_image(out / "BraTSReg_007_detj.nii.gz").data
    np.testing.assert_allclose(ours[2:-2, 2:-2, 2:-2], theirs[2:-2, 2:-2, 2:-2], atol=1e-3)

    t1ce, t2 = (read_image(out / f"BraTSReg_007_{name}_f2b.nii.gz").data for name in ("t1ce", "t2"))
    np.testing.assert_allclose(t2, 0.5 * t1ce, rtol=1e-4, atol=1e-2)

    image = hidden_case / "BraTSReg_007" / "BraTSReg_007_01_0106_t1ce.nii.gz"
    status, said = command(
        "apply-deformation",
        "-f",
        out / "BraTSReg_007_df_b2f.nii.gz",
        "-i",
        image,
        "-t",
        "linear",
        "-p",
        tmp_path / "w.nii",
    )
    assert status == 0, said
    np.testing.assert_allclose(read_image(tmp_path / "w.nii").data, t1ce, atol=1e-2)


def test_one_bad_case_stops_before_any_work(hidden_case: Path, tmp_path: Path, command: Command) -> None:
    root = tmp_path / "in"
    shutil.copytree(hidden_case, root)
    other = root / "BraTSReg_008"
    other.mkdir()
    (other / "BraTSReg_008_00_0000_t1ce.nii.gz").write_bytes(b"no image")
    shutil.copy(next(hidden_case.rglob("*_01_0106_t1ce.nii.gz")), other / "BraTSReg_008_01_0050_t1ce.nii.gz")
    status, said = command("generate-output", "-i", root, "-o", tmp_path / "out")
    assert status == 2
    assert any("BraTSReg_008_00_0000_t1ce.nii.gz" in line for line in said)
    assert not (tmp_path / "out").exists()


def test_with_images_all_of_them_are_read_before_any_work(hidden_case: Path, tmp_path: Path, command: Command) -> None:
    root = tmp_path / "in"
    shutil.copytree(hidden_case, root)
    path = next(root.rglob("*_01_0106_t1ce.nii.gz"))
    other = path.with_name(path.name.replace("t1ce", "t2"))
    other.write_bytes(path.read_bytes()[:-100])
    status, said = command("generate-output", "-i", root, "-o", tmp_path / "out", "-r")
    assert (status, len(said)) == (2, 1)
    assert f"{other}: is truncated or damaged" in said[0]
    assert not (tmp_path / "out").exists()


def test_an_output_that_is_a_file_is_refused(hidden_case: Path, tmp_path: Path, command: Command) -> None:
    (tmp_path / "out").write_text("x")
    status, said = command("generate-output", "-i", hidden_case, "-o", tmp_path / "out")
    assert (status, len(said)) == (2, 1)
    assert "is not a folder" in said[0]


def test_no_image_is_replaced_by_its_warped_self(hidden_case: Path, tmp_path: Path, command: Command) -> None:
    image = next(hidden_case.rglob("*_01_0106_t1ce.nii.gz"))
    status, said = command("apply-deformation", "-f", image, "-i", image, "-t", "nearest", "-p", image)
    assert (status, len(said)) == (2, 1)
    assert "is one of the inputs" in said[0]


@pytest.mark.parametrize("program", ["generate_output", "apply_deformation"])
def test_the_container_has_programs_of_these_names(program: str) -> None:
    done = subprocess.run([Path(sys.executable).with_name(program), "--help"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert re.search(r"-i\b", done.stdout)

"""Images, label maps and points through saved transforms, by the command line and by ITK."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from scipy.ndimage import gaussian_filter
from wssamnet.cli.apply import Interpolation, apply
from wssamnet.errors import GeometryError, ImageError, SettingsError, WssamnetError
from wssamnet.geometry import Frame, Grid
from wssamnet.images import Volume, read_image, write_displacement, write_image
from wssamnet.landmarks import Landmarks, read_landmarks, write_landmarks
from wssamnet.transforms import apply_to_image, apply_to_points
from wssamnet.transforms.applying import outside_fields

GRID = Grid((24, 26, 20), np.array([[0, 0, 3.0, -20], [-4.0, 0, 0, 40], [0, 3.5, 0, -30], [0, 0, 0, 1]]))
REFERENCE = Grid((30, 22, 24), np.array([[-3.5, 0, 0, 40], [0, 4, 0, -45], [0, 0, 3, -25], [0, 0, 0, 1]]))


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """An image, a label map, a reference, a field on the reference grid, an affine and points."""
    rng = np.random.default_rng(0)
    smooth = gaussian_filter(rng.normal(size=GRID.shape), 2)
    write_image(tmp_path / "image.nii.gz", Volume((1000 * smooth).astype(np.float32), GRID))
    labels = np.digitize(smooth / smooth.std(), [-0.5, 0.5, 1.2]).astype(np.uint8) * 3
    write_image(tmp_path / "labels.nii.gz", Volume(labels, GRID))
    write_image(tmp_path / "reference.nii.gz", Volume(np.ones(REFERENCE.shape, np.uint8), REFERENCE))
    u = np.stack([gaussian_filter(rng.normal(size=REFERENCE.shape), 4) for _ in range(3)], axis=-1)
    write_displacement(tmp_path / "u.nii.gz", (5 * u / np.abs(u).max()).astype(np.float32), REFERENCE)
    affine = sitk.AffineTransform(3)
    affine.Rotate(0, 1, 0.1)
    affine.SetTranslation((2, -3, 1))
    sitk.WriteTransform(affine, str(tmp_path / "a.tfm"))
    write_landmarks(tmp_path / "p.csv", Landmarks((4, 9), np.array([[-5.0, 3, 2], [4, 1, -7]])))
    return tmp_path


def _itk_chain(folder: Path) -> sitk.Transform:
    field = sitk.Cast(sitk.ReadImage(str(folder / "u.nii.gz")), sitk.sitkVectorFloat64)
    # ITK applies the last of the list first
    return sitk.CompositeTransform([sitk.ReadTransform(str(folder / "a.tfm")), sitk.DisplacementFieldTransform(field)])


@pytest.mark.parametrize(
    ("name", "mode", "theirs"),
    [
        ("image", "linear", sitk.sitkLinear),
        ("labels", "nearest", sitk.sitkNearestNeighbor),
        ("labels", "label", sitk.sitkLabelLinear if hasattr(sitk, "sitkLabelLinear") else None),
    ],
)
def test_a_chain_is_one_interpolation_as_in_itk(name: str, mode: str, theirs: int | None, files: Path) -> None:
    apply(
        [files / "u.nii.gz", files / "a.tfm"],
        files / "out.nii.gz",
        image=files / f"{name}.nii.gz",
        reference=files / "reference.nii.gz",
        interpolation=Interpolation(mode),
    )
    ours = read_image(files / "out.nii.gz", dtype=None)
    assert ours.grid.matches(REFERENCE)
    assert ours.data.dtype == (np.float32 if mode == "linear" else np.uint8)
    if theirs is None:
        pytest.skip("this SimpleITK has no label interpolation")
    image, reference = (sitk.ReadImage(str(files / f"{part}.nii.gz")) for part in (name, "reference"))
    expected = sitk.GetArrayFromImage(sitk.Resample(image, reference, _itk_chain(files), theirs, 0.0)).transpose()
    same = np.isclose(ours.data, expected, atol=0.5)
    assert np.count_nonzero(ours.data) > 1000
    assert same.mean() > 0.995, "ties and the outermost half voxel may differ"


def test_labels_stay_labels_and_are_smoother_than_nearest(files: Path) -> None:
    shift = np.eye(4)
    shift[:3, 3] = 1.3
    np.savetxt(files / "m.txt", shift)
    found = {
        mode: apply_to_image(files / "labels.nii.gz", files / "m.txt", REFERENCE, interpolation=mode)
        for mode in ("label", "nearest")
    }
    original = read_image(files / "labels.nii.gz", dtype=None)
    assert set(np.unique(found["label"].data)) <= set(np.unique(original.data))
    assert (found["label"].data == found["nearest"].data).mean() > 0.9
    identity = apply_to_image(original, [np_identity(files)], GRID, interpolation="label")
    np.testing.assert_array_equal(identity.data, original.data)


def np_identity(folder: Path) -> Path:
    """A plain identity matrix as a file."""
    np.savetxt(folder / "identity.txt", np.eye(4))
    return folder / "identity.txt"


def test_points_travel_along_and_come_back(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    chain = [files / "u.nii.gz", files / "a.tfm"]
    apply(chain, files / "there.csv", points=files / "p.csv")
    apply(chain, files / "back.csv", points=files / "there.csv", inverse=True)
    start, there, back = (read_landmarks(files / name) for name in ("p.csv", "there.csv", "back.csv"))
    theirs = [_itk_chain(files).TransformPoint(p.tolist()) for p in start.points]
    np.testing.assert_allclose(there.points, theirs, atol=1e-3)
    np.testing.assert_allclose(back.points, start.points, atol=5e-3)
    assert back.ids == (4, 9)
    np.testing.assert_allclose(apply_to_points(start.points, chain), there.points, atol=1e-3)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("shape", [(3, 4), (6, 2), (4,), (2, 3, 1)])
def test_points_that_are_no_rows_of_three_are_refused(files: Path, shape: tuple[int, ...]) -> None:
    for call in (apply_to_points, outside_fields):
        with pytest.raises(GeometryError) as caught:
            call(np.ones(shape), files / "a.tfm")
        assert str(caught.value) == f"points have shape {shape} ((N, 3), LPS mm)"
    assert apply_to_points((1, 2, 3), files / "a.tfm").shape == (1, 3)
    assert apply_to_points([], files / "a.tfm").shape == (0, 3)


def test_an_image_through_the_inverse_comes_back(files: Path) -> None:
    image = read_image(files / "image.nii.gz")
    there = apply_to_image(image, files / "a.tfm", GRID)
    back = apply_to_image(there, files / "a.tfm", GRID, inverse=True)
    inner = (slice(6, -6),) * 3
    assert np.corrcoef(back.data[inner].ravel(), image.data[inner].ravel())[0, 1] > 0.98


def test_points_outside_the_field_are_told(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_landmarks(files / "far.csv", Landmarks((1, 2), np.array([[0.0, 0, 0], [900, 0, 0]])))
    apply([files / "u.nii.gz"], files / "o.csv", points=files / "far.csv")
    assert capsys.readouterr().err == "wssamnet: 1 of 2 points lie outside the field, which leaves them unmoved\n"


def test_points_that_come_from_outside_the_field_are_told(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What leaves the field's grid on its way there comes back into it; what was never in it cannot."""
    u = np.zeros((*GRID.shape, 3), np.float32)
    u[..., 0] = -12  # four voxels along k
    write_displacement(files / "aside.nii.gz", u, GRID)
    start = GRID.convert([[12, 13, 10], [12, 13, 18], [300, 0, 0]], Frame.IJK, Frame.LPS)
    there = start - [[12, 0, 0], [12, 0, 0], [0, 0, 0]]
    np.testing.assert_allclose(apply_to_points(start, files / "aside.nii.gz"), there, atol=1e-4)
    write_landmarks(files / "there.csv", Landmarks((1, 2, 3), there))
    apply([files / "aside.nii.gz"], files / "o.csv", points=files / "there.csv", inverse=True)
    np.testing.assert_allclose(read_landmarks(files / "o.csv").points, start, atol=1e-3)
    assert capsys.readouterr().err == "wssamnet: 1 of 3 points lie outside the field, which leaves them unmoved\n"


def test_an_image_is_read_beyond_the_field_that_is_inverted(files: Path) -> None:
    near = Grid((*GRID.shape[:2], 12), GRID.affine)
    u = np.zeros((*near.shape, 3), np.float32)
    u[..., 0] = -12
    write_displacement(files / "aside.nii.gz", u, near)
    image = Volume(np.random.default_rng(1).random(GRID.shape, dtype=np.float32), GRID)
    found = apply_to_image(image, files / "aside.nii.gz", GRID, inverse=True).data
    np.testing.assert_allclose(found[..., 4:16], image.data[..., :12], atol=1e-3)
    np.testing.assert_allclose(found[..., 16:], image.data[..., 16:], atol=1e-3)  # nothing comes there


def test_points_meet_a_field_where_the_transforms_before_it_have_brought_them(files: Path) -> None:
    points = np.array([[500.0, 0, 0], [0, 0, 0]])
    away, back = (sitk.TranslationTransform(3, (x, 0.0, 0.0)) for x in (500, -500))
    for name, transform in (("away", away), ("back", back)):
        sitk.WriteTransform(transform, str(files / f"{name}.tfm"))
    field, to, fro = files / "u.nii.gz", files / "away.tfm", files / "back.tfm"
    assert outside_fields(points, field) == 1
    assert outside_fields(points[:1], [fro, field]) == 0
    assert outside_fields(points[1:], [to, field]) == 1
    assert outside_fields(points[1:], [field, to, field]) == 1
    assert outside_fields(points, [field, to, field]) == 2


def test_an_image_of_reals_is_no_label_map(files: Path) -> None:
    with pytest.raises(ImageError, match=r"image\.nii\.gz: is not a label map"):
        apply_to_image(files / "image.nii.gz", files / "a.tfm", REFERENCE, interpolation="label")


def test_an_unknown_interpolation_is_refused(files: Path) -> None:
    with pytest.raises(SettingsError, match="linear, nearest or label"):
        apply_to_image(files / "image.nii.gz", files / "a.tfm", REFERENCE, interpolation="cubic")  # type: ignore[arg-type]


REFUSED: dict[str, tuple[dict[str, str], str]] = {
    "nothing": ({"out": "o.csv"}, "--image with --reference, or --points"),
    "both": ({"image": "image.nii.gz", "points": "p.csv", "out": "o.csv"}, "one of the two is needed"),
    "no reference": ({"image": "image.nii.gz", "out": "o.nii"}, "--reference: is missing"),
    "idle reference": ({"points": "p.csv", "reference": "reference.nii.gz", "out": "o.csv"}, "is not used with"),
    "ending": ({"points": "p.csv", "out": "o.txt"}, r"has the wrong ending \(\.csv\)"),
    "input": ({"points": "p.csv", "out": "p.csv"}, "is one of the inputs"),
    "missing": ({"points": "q.csv", "out": "o.csv"}, r"q\.csv: there is no such file"),
    "no image": ({"image": "q.nii", "reference": "reference.nii.gz", "out": "o.nii"}, r"q\.nii: there is no such file"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_done_is_refused_before_writing(name: str, files: Path) -> None:
    given, words = REFUSED[name]
    before = {path: path.read_bytes() for path in files.iterdir()}
    with pytest.raises(WssamnetError, match=words):
        apply([files / "a.tfm"], **{key: files / value for key, value in given.items()})  # type: ignore[arg-type]
    assert {path: path.read_bytes() for path in files.iterdir()} == before

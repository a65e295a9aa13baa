"""NIfTI in and out: ITK and ANTs see what we see; every damaged file is refused in one clear line."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
from wssamnet.errors import GeometryError, ImageError
from wssamnet.geometry import Frame, Grid
from wssamnet.images import Volume, read_displacement, read_grid, read_image, write_displacement, write_image

GRID = Grid((7, 6, 5), np.array([[-1.0, 0, 0, 3], [0, -2, 0, 9], [0, 0, 3, -4], [0, 0, 0, 1]]))
RNG = np.random.default_rng(0)
DATA = RNG.integers(0, 1000, GRID.shape).astype(np.int16)


def _save(path: Path, data: Any, *, affine: Any = GRID.affine, sform: int = 1, qform: int = 0, **header: Any) -> Path:
    image = nib.Nifti1Image(data, affine, dtype=data.dtype)
    image.set_sform(affine, sform)
    image.set_qform(affine if qform else None, qform)
    for name, value in header.items():
        getattr(image.header, name)(*value)
    nib.save(image, path)
    return path


def _raises(path: Path, message: str, kind: type[Exception] = ImageError, read: Any = read_image) -> None:
    with pytest.raises(kind) as caught:
        read(path)
    text = str(caught.value)
    assert text.startswith(f"{path}: {message}"), text
    assert "\n" not in text


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
@pytest.mark.parametrize("dtype", [np.int16, np.float32, np.uint8, np.float64, np.int64])
def test_written_and_read_again(tmp_path: Path, odd_grid: Grid, name: str, dtype: Any) -> None:
    data = RNG.integers(0, 200, odd_grid.shape).astype(dtype)
    write_image(tmp_path / name, Volume(data, odd_grid))
    volume = read_image(tmp_path / name, dtype=dtype)
    np.testing.assert_array_equal(volume.data, data)
    assert volume.data.dtype == dtype
    assert volume.grid.matches(odd_grid, tolerance=1e-4)
    assert read_grid(tmp_path / name).matches(odd_grid, tolerance=1e-4)
    image = nib.load(tmp_path / name)
    assert image.get_data_dtype() == dtype
    assert (image.get_sform(coded=True)[1], image.get_qform(coded=True)[1]) == (1, 1)
    np.testing.assert_allclose(image.get_qform(), odd_grid.affine, atol=1e-3)


def test_itk_sees_the_same_place(tmp_path: Path, odd_grid: Grid) -> None:
    data = RNG.normal(size=odd_grid.shape).astype(np.float32)
    write_image(tmp_path / "a.nii.gz", Volume(data, odd_grid))
    image = sitk.ReadImage(str(tmp_path / "a.nii.gz"))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image).T, data)
    for ijk in ((0, 0, 0), (12, 3, 17), tuple(n - 1 for n in odd_grid.shape)):
        expected = image.TransformContinuousIndexToPhysicalPoint([float(i) for i in ijk])
        np.testing.assert_allclose(odd_grid.convert(ijk, Frame.IJK, Frame.LPS), expected, atol=1e-3)


def test_types_that_nifti_lacks(tmp_path: Path) -> None:
    for data, stored in ((DATA > 500, np.uint8), (DATA.astype(np.float16), np.float32)):
        write_image(tmp_path / "a.nii", Volume(data, GRID))
        assert nib.load(tmp_path / "a.nii").get_data_dtype() == stored
        np.testing.assert_array_equal(read_image(tmp_path / "a.nii").data, data)


def test_same_data_same_bytes(tmp_path: Path) -> None:
    for name in ("a.nii.gz", "b.nii.gz"):
        write_image(tmp_path / name, Volume(DATA, GRID))
    assert (tmp_path / "a.nii.gz").read_bytes() == (tmp_path / "b.nii.gz").read_bytes()
    assert gzip.decompress((tmp_path / "a.nii.gz").read_bytes())[344:348] == b"n+1\0"


def test_scaled_integers_are_read_in_their_unit(tmp_path: Path) -> None:
    path = _save(tmp_path / "a.nii.gz", DATA, set_slope_inter=(0.5, -3))
    raw = np.asarray(nib.load(path).dataobj.get_unscaled())
    np.testing.assert_allclose(read_image(path).data, raw * 0.5 - 3)


def test_scaled_reals_keep_what_is_small(tmp_path: Path) -> None:
    image = nib.Nifti1Image(np.full((3, 4, 5), 0.25, np.float32), GRID.affine)
    content = bytearray(image.to_bytes())
    content[112:116] = struct.pack("<f", 2)  # scl_slope
    (tmp_path / "a.nii").write_bytes(content)
    np.testing.assert_array_equal(read_image(tmp_path / "a.nii").data, 0.5)


def test_capitals_are_an_ending_too(tmp_path: Path) -> None:
    write_image(tmp_path / "a.NII.GZ", Volume(DATA, GRID))
    assert (tmp_path / "a.NII.GZ").read_bytes()[:2] == b"\x1f\x8b"
    np.testing.assert_array_equal(read_image(tmp_path / "a.NII.GZ").data, DATA)


@pytest.mark.parametrize(("sform", "qform"), [(1, 0), (0, 1), (2, 1)])
def test_either_form_places_the_image(tmp_path: Path, sform: int, qform: int) -> None:
    path = _save(tmp_path / "a.nii", DATA, sform=sform, qform=qform)
    assert read_grid(path).matches(GRID)


@pytest.mark.parametrize("sform", range(5))
@pytest.mark.parametrize("qform", range(5))
def test_a_scan_lies_where_itk_sees_it_or_is_refused(tmp_path: Path, sform: int, qform: int) -> None:
    image, moved = nib.Nifti1Image(DATA, GRID.affine), GRID.affine.copy()
    moved[:3, 3] += (0, 12, 5)
    image.set_sform(GRID.affine, sform)
    image.set_qform(moved, qform)
    nib.save(image, tmp_path / "a.nii")
    if not sform and not qform:
        _raises(tmp_path / "a.nii", "has neither sform nor qform", read=read_grid)
        return
    seen = sitk.ReadImage(str(tmp_path / "a.nii")).GetOrigin()
    if sform > 1 and qform:
        remedy = "13.0 mm apart: ITK, ANTs and 3D Slicer read its qform, others its sform (copy the right one"
        _raises(tmp_path / "a.nii", f"lies in two places, {remedy}", GeometryError, read_grid)
        assert not np.allclose(GRID.convert((0, 0, 0), Frame.IJK, Frame.LPS), seen)
    else:
        np.testing.assert_allclose(read_grid(tmp_path / "a.nii").convert((0, 0, 0), Frame.IJK, Frame.LPS), seen)


def test_a_qform_that_is_no_rotation(tmp_path: Path) -> None:
    path = _save(tmp_path / "a.nii", DATA, sform=2, qform=1)
    content = bytearray(path.read_bytes())
    content[256:260] = np.float32(2).tobytes()  # quatern_b
    path.write_bytes(content)
    _raises(path, "has a qform that is no rotation: w2 should be positive", read=read_grid)
    content[254:256] = np.int16(1).tobytes()  # sform_code: then nobody reads the other
    path.write_bytes(content)
    assert read_grid(path).matches(GRID)


def test_a_trailing_axis_of_one_is_no_dimension(tmp_path: Path) -> None:
    path = _save(tmp_path / "a.nii", DATA[..., None])
    np.testing.assert_array_equal(read_image(path).data, DATA)


def test_no_file(tmp_path: Path) -> None:
    _raises(tmp_path / "a.nii", "there is no such file")
    _raises(tmp_path, "is a folder", read=read_grid)


@pytest.mark.parametrize(
    "content", [b"", b"text", b"\x1f\x8b broken", bytes(400)], ids=["empty", "text", "gz", "zeros"]
)
@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz", "a.csv"])
def test_not_an_image(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    for read in (read_image, read_grid, read_displacement):
        with pytest.raises(ImageError) as caught:
            read(tmp_path / name)
        assert str(caught.value).startswith(f"{tmp_path / name}: ")
        assert "\n" not in str(caught.value)


def test_another_format(tmp_path: Path) -> None:
    nib.save(nib.MGHImage(DATA.astype(np.float32), GRID.affine), tmp_path / "a.mgz")
    _raises(tmp_path / "a.mgz", "is a MGHImage, not a NIfTI image (a .nii or .nii.gz file)")


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
@pytest.mark.parametrize("keep", [0.1, 0.5, 0.98])
def test_truncated(tmp_path: Path, name: str, keep: float) -> None:
    write_image(tmp_path / name, Volume(RNG.normal(size=(20, 20, 20)), Grid((20, 20, 20), np.eye(4))))
    content = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(content[: int(len(content) * keep)])
    _raises(tmp_path / name, "is truncated or damaged: ")


def test_damaged_in_the_middle(tmp_path: Path) -> None:
    path = tmp_path / "a.nii.gz"
    write_image(path, Volume(RNG.normal(size=(20, 20, 20)), Grid((20, 20, 20), np.eye(4))))
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 2000] = bytes(2000)
    path.write_bytes(content)
    _raises(path, "is truncated or damaged: ")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_not_finite(tmp_path: Path, value: float) -> None:
    data = DATA.astype(np.float32)
    data[1, 2, 3:] = value
    _raises(_save(tmp_path / "a.nii", data), "holds 2 values that are NaN or infinite (replace them")
    assert read_grid(tmp_path / "a.nii").matches(GRID), "the header alone is fine"


def test_shapes_and_types(tmp_path: Path) -> None:
    path = tmp_path / "a.nii"
    _raises(_save(path, np.zeros((4, 5, 6, 2), np.int16)), "has 4 dimensions (4, 5, 6, 2) (a 3-D image)")
    _raises(_save(path, np.zeros((4, 5), np.int16)), "has 2 dimensions (4, 5) (a 3-D image)")
    _raises(_save(path, np.zeros((4, 5, 6), np.complex64)), "holds complex numbers (one real number a voxel)")
    colours = np.zeros((4, 5, 6), np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")]))
    _raises(_save(path, colours), "holds colours (one real number a voxel)")


def test_headers_without_a_place(tmp_path: Path) -> None:
    path = tmp_path / "a.nii"
    _raises(_save(path, DATA, sform=0), "has neither sform nor qform, so its place in space is unknown")
    _raises(_save(path, DATA, set_xyzt_units=("micron",)), "gives its voxel size in micron (millimetres)")
    for value, message in ((0, "the affine is singular (three"), (np.nan, "the affine is not a finite 4x4 matrix")):
        content = bytearray(_save(path, DATA).read_bytes())
        content[280:296] = np.full(4, value, "<f4").tobytes()  # srow_x
        path.write_bytes(content)
        for read in (read_image, read_grid):
            _raises(path, message, GeometryError, read)


def test_shear_is_refused_where_itk_would_not_see_it(tmp_path: Path) -> None:
    path = tmp_path / "a.nii"
    sheared = GRID.affine.copy()
    sheared[0, 1] = 0.2
    message = "has voxel axes that are not perpendicular (84.29 degrees), which ITK and ANTs cannot represent (resample"
    _raises(_save(path, DATA, affine=sheared), message, GeometryError)
    _raises(path, message, GeometryError, read_grid)
    with pytest.raises(RuntimeError, match="orthonormal"):
        sitk.ReadImage(str(path))
    # with a qform beside it, ITK goes by that and says nothing: we still refuse
    _raises(_save(path, DATA, affine=sheared, qform=1), message, GeometryError)
    with pytest.raises(GeometryError, match="not perpendicular"):
        write_image(path, Volume(DATA, Grid(GRID.shape, sheared)))


def test_rounding_in_a_header_is_no_shear(tmp_path: Path) -> None:
    affine = GRID.affine.copy()
    affine[0, 1] = 1e-4
    path = _save(tmp_path / "a.nii", DATA, affine=affine)
    assert read_grid(path).matches(GRID)
    sitk.ReadImage(str(path))


def test_a_field_as_itk_reads_it(tmp_path: Path, odd_grid: Grid) -> None:
    u = RNG.normal(size=(*odd_grid.shape, 3)).astype(np.float32)
    path = tmp_path / "u.nii.gz"
    write_displacement(path, u, odd_grid)
    again, grid = read_displacement(path)
    np.testing.assert_array_equal(again, u)
    assert grid.matches(odd_grid, tolerance=1e-4)
    image = sitk.ReadImage(str(path))
    assert image.GetNumberOfComponentsPerPixel() == 3
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image).transpose(2, 1, 0, 3), u)
    assert nib.load(path).header.get_intent()[0] == "vector"


def test_vectors_that_the_header_says_are_ras(tmp_path: Path, odd_grid: Grid) -> None:
    u = RNG.normal(size=(*odd_grid.shape, 3)).astype(np.float32)
    image = nib.Nifti1Image(u[:, :, :, None, :], odd_grid.affine)
    image.header.set_intent("displacement vector")
    nib.save(image, tmp_path / "u.nii.gz")
    itk = sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "u.nii.gz"))).transpose(2, 1, 0, 3)
    read, _ = read_displacement(tmp_path / "u.nii.gz")
    np.testing.assert_array_equal(read, itk)
    np.testing.assert_array_equal(read, u * np.float32([-1, -1, 1]))


def test_a_field_written_by_itk(tmp_path: Path, odd_grid: Grid) -> None:
    u = RNG.normal(size=(*odd_grid.shape, 3))
    image = sitk.GetImageFromArray(np.ascontiguousarray(u.transpose(2, 1, 0, 3)), isVector=True)
    image.SetOrigin(odd_grid.origin.tolist())
    image.SetSpacing(odd_grid.spacing.tolist())
    image.SetDirection(odd_grid.direction.ravel().tolist())
    sitk.WriteImage(image, str(tmp_path / "u.nii.gz"))
    read, grid = read_displacement(tmp_path / "u.nii.gz")
    np.testing.assert_allclose(read, u, atol=1e-6)
    assert grid.matches(odd_grid, tolerance=1e-3)


def test_not_a_field(tmp_path: Path) -> None:
    path = _save(tmp_path / "a.nii", DATA)
    _raises(path, "has shape (7, 6, 5) (a displacement field (X, Y, Z, 1, 3) in LPS mm)", read=read_displacement)
    u = np.zeros((*GRID.shape, 3), np.float32)
    u[0, 0, 0, 1] = np.nan
    write_displacement(path, u, GRID)
    _raises(path, "holds 1 values that are NaN or infinite", read=read_displacement)
    path.write_bytes(path.read_bytes()[:-100])
    _raises(path, "is truncated or damaged", read=read_displacement)
    with pytest.raises(GeometryError, match="does not fit a grid of"):
        write_displacement(path, u[1:], GRID)


def test_a_volume_fits_its_grid() -> None:
    with pytest.raises(GeometryError, match=r"an array of shape \(6, 6, 5\) does not fit a grid of \(7, 6, 5\)"):
        Volume(DATA[1:], GRID)


def test_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(nib.spatialimages.HeaderDataError):
        write_image(tmp_path / "a.nii", Volume(DATA.astype(np.dtype("U2")), GRID))
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_the_same_for_any_number_of_threads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    u = np.random.default_rng(0).normal(size=(60, 50, 70, 3)).astype(np.float32)  # several pieces to be compressed
    files = []
    for threads in (1, 3):
        monkeypatch.setattr("wssamnet.images.thread_count", lambda threads=threads: threads)
        files.append(tmp_path / f"{threads}.nii.gz")
        write_displacement(files[-1], u, Grid(u.shape[:3], np.eye(4)))
    assert files[0].read_bytes() == files[1].read_bytes()
    np.testing.assert_array_equal(read_displacement(files[0])[0], u)

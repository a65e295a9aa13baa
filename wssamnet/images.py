"""NIfTI in and out: arrays with their grid, and displacement fields that ITK can read."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from itertools import product
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from isal import igzip_lib, igzip_threaded
from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import HeaderDataError
from numpy.typing import DTypeLike, NDArray

from wssamnet.errors import GeometryError, ImageError
from wssamnet.files import lacking, written_atomically
from wssamnet.geometry import Grid
from wssamnet.kernels.ordering import first_axis_fastest
from wssamnet.kernels.threads import thread_count

_ISAL_ERROR: type[Exception] = igzip_lib.IsalError  # type: ignore[assignment]  # its stub declares an instance
_PLACES_MM = 0.1  # by which two descriptions of a place may differ: a quaternion of float32 is rounded
_SHEAR = 1e-4  # cosine between voxel axes up to which ITK takes them for perpendicular
_UNITS = {0: "mm", 1: "meter", 2: "mm", 3: "micron"}  # no unit is taken for mm
_TRAILING = 1 << 20  # bytes that may follow the voxels, padding
_POSITIONS = ("NREG_TRANS", "Mapping")  # NiftyReg's and SPM's deformations: where a voxel goes, RAS mm
_VECTOR = 1007  # NIFTI_INTENT_VECTOR: what ITK and ANTs write for displacement fields, values in LPS
_RAS_VECTOR = 1006  # NIFTI_INTENT_DISPVECT


@dataclass(frozen=True, eq=False)
class Volume:
    """A scalar image: `data` (X, Y, Z) on `grid`.

    Raises:
        GeometryError: the two do not fit.
    """

    data: NDArray[Any]
    grid: Grid

    def __post_init__(self) -> None:
        if self.data.shape != self.grid.shape:
            raise GeometryError(f"an array of shape {self.data.shape} does not fit a grid of {self.grid.shape}")


def _without(path: Path, said: str) -> str:
    """The first line of a message that names the file, which ours do already."""
    return said.splitlines()[0].replace(f": '{path}'", "").replace(f' of "{path}"', "").replace(str(path), path.name)


def _load(path: Path) -> nib.Nifti1Image:
    if fault := lacking(path):
        raise ImageError(fault, path, "a .nii or .nii.gz file")
    try:
        with np.errstate(invalid="ignore"):  # a NaN in the affine is told below
            image = nib.load(path)
    except (ImageFileError, HeaderDataError, OSError, EOFError, ValueError, OverflowError, zlib.error) as error:
        raise ImageError(
            f"is not a readable NIfTI image: {_without(path, str(error))}", path, "a .nii or .nii.gz file"
        ) from None
    if not isinstance(image, nib.Nifti1Image | nib.Nifti2Image):
        raise ImageError(f"is a {type(image).__name__}, not a NIfTI image", path, "a .nii or .nii.gz file")
    return image


def _require_perpendicular(grid: Grid, path: Path) -> None:
    if grid.shear > _SHEAR:
        angle = np.degrees(np.arccos(min(grid.shear, 1.0)))
        raise GeometryError(
            f"has voxel axes that are not perpendicular ({angle:.2f} degrees), which ITK and ANTs cannot represent",
            path,
            "resample it without shear, or remove the sform if the qform is right",
        )


def _require_one_place(image: nib.Nifti1Image, shape: tuple[int, int, int], path: Path) -> None:
    """Refuse a header whose place depends on the reader: ITK reads the qform before an sform of any code but 1."""
    if int(image.header["sform_code"]) in (0, 1) or int(image.header["qform_code"]) == 0:
        return
    sform = image.get_sform()
    try:
        qform = image.get_qform()
    except ValueError as error:
        raise ImageError(
            f"has a qform that is no rotation: {error}", path, "set its code to 0, or the sform's to 1"
        ) from None
    corners = np.array([(*corner, 1.0) for corner in product(*((0, size - 1) for size in shape))])
    apart = float(np.linalg.norm(corners @ (sform - qform)[:3].T, axis=1).max())
    if apart > _PLACES_MM:
        raise GeometryError(
            f"lies in two places, {apart:.1f} mm apart: ITK, ANTs and 3D Slicer read its qform, others its sform",
            path,
            "copy the right one into the other, or set the sform's code to 1 if it is the right one",
        )


def _raw_sizes(image: nib.Nifti1Image, path: Path) -> list[float]:
    """The three voxel sizes as the file has them; nibabel takes a 0 for 1."""
    with nib.openers.ImageOpener(str(path)) as stream:
        return [float(size) for size in type(image.header).from_fileobj(stream, check=False)["pixdim"][1:4]]


def _grid(image: nib.Nifti1Image, shape: tuple[int, int, int], path: Path) -> Grid:
    if image.get_sform(coded=True)[1] == 0 and image.get_qform(coded=True)[1] == 0:
        raise ImageError("has neither sform nor qform, so its place in space is unknown", path, "set one of them")
    if image.get_sform(coded=True)[1] == 0 and 0 in _raw_sizes(image, path):
        raise ImageError("has a voxel size of 0 mm", path, "three sizes above 0, or an sform")
    unit = _UNITS.get(int(image.header["xyzt_units"]) & 7, "an unknown unit")
    if unit != "mm":
        raise ImageError(f"gives its voxel size in {unit}", path, "millimetres")
    try:
        grid = Grid(shape, image.affine)
    except GeometryError as error:
        raise GeometryError(error.what, path, error.remedy) from None
    _require_perpendicular(grid, path)
    _require_one_place(image, shape, path)
    return grid


def _scalar_grid(image: nib.Nifti1Image, path: Path) -> Grid:
    shape = image.shape
    while len(shape) > 3 and shape[-1] == 1:
        shape = shape[:-1]
    if len(shape) != 3:
        raise ImageError(f"has {len(shape)} dimensions {tuple(shape)}", path, "a 3-D image")
    kind = image.get_data_dtype()
    if kind.kind not in "iuf":
        what = "colours" if kind.names else "complex numbers"
        raise ImageError(f"holds {what}", path, "one real number a voxel")
    return _grid(image, (shape[0], shape[1], shape[2]), path)


def _unpacked(path: Path, expected: int) -> bytes:
    """A gzip file's whole content, every checksum compared; no more is unpacked than the header asks for."""
    packed, parts, left = path.read_bytes(), [], expected + _TRAILING
    while packed.strip(b"\0"):
        member = igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_GZIP)
        parts.append(member.decompress(packed, max_length=left))
        left -= len(parts[-1])
        if not member.eof:
            if left <= 0:
                raise ValueError("it unpacks to more than its header says")
            raise EOFError("it ends before its content does")
        packed = member.unused_data
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _packed(path: Path) -> bool:
    return path.name.lower().endswith(".gz")  # as nibabel has it


def _content(image: nib.Nifti1Image, path: Path) -> NDArray[Any]:
    proxy: Any = image.dataobj
    try:
        if _packed(path):
            # the whole stream, so that its checksum is compared (nibabel stops before it); ISA-L is also twice as fast
            voxels = int(np.prod(image.shape, dtype=object)) * image.get_data_dtype().itemsize
            image = type(image).from_bytes(_unpacked(path, voxels + int(proxy.offset)))
            proxy = image.dataobj
        data: NDArray[Any] = np.asanyarray(proxy)
        scaled = image.get_data_dtype().kind in "iu" and (proxy.slope != 1 or proxy.inter != 0)
        if scaled:  # a whole number that stands for 0 comes back as a rounding error: background is exactly 0
            data[np.abs(data) < abs(proxy.slope) / 2] = 0
        return data
    except (OSError, EOFError, ValueError, OverflowError, MemoryError, _ISAL_ERROR) as error:
        said = str(error) or "it does not fit into memory"  # a MemoryError may say nothing
        raise ImageError(f"is truncated or damaged: {said.splitlines()[0]}", path, "copy the file again") from None


def _require_finite(data: NDArray[Any], path: Path) -> None:
    if not np.isfinite(data).all():
        count = int(np.count_nonzero(~np.isfinite(data)))
        raise ImageError(f"holds {count} values that are NaN or infinite", path, "replace them, for instance by 0")


def read_grid(path: str | Path) -> Grid:
    """Read only the header of a 3-D NIfTI image.

    Raises:
        ImageError: not a readable 3-D NIfTI image with a coded orientation.
        GeometryError: its affine is singular, not finite or sheared.
    """
    path = Path(path)
    return _scalar_grid(_load(path), path)


def read_image(path: str | Path, dtype: DTypeLike = np.float32) -> Volume:
    """Read a 3-D NIfTI image with its intensity scaling applied.

    Returns:
        data (X, Y, Z) in the file's voxel order, and its grid.

    Raises:
        ImageError, GeometryError: as for `read_grid`; also truncated or non-finite content.
    """
    path = Path(path)
    image = _load(path)
    grid = _scalar_grid(image, path)
    data = _content(image, path).reshape(grid.shape)
    _require_finite(data, path)
    with np.errstate(over="ignore"):
        values = np.asarray(data, dtype=dtype)
    if values.dtype.kind == "f" and values.dtype.itemsize < data.dtype.itemsize and not np.isfinite(values).all():
        raise ImageError("holds values beyond the range of float32", path, "check the header's scl_slope and scl_inter")
    return Volume(values, grid)


def _write(path: str | Path, data: NDArray[Any], grid: Grid, intent: int | None = None) -> None:
    path = Path(path)
    _require_perpendicular(grid, path)
    if data.dtype == np.bool_:
        data = data.view(np.uint8)
    elif data.dtype == np.float16:
        data = data.astype(np.float32)
    data = data.astype(data.dtype.newbyteorder("="), copy=False)
    image = nib.Nifti1Image(data, grid.affine, dtype=data.dtype)
    image.set_qform(grid.affine, code=1, strip_shears=True)
    image.set_sform(grid.affine, code=1)
    image.header.set_xyzt_units("mm")
    if intent is not None:
        image.header.set_intent(intent)
    image.header.set_slope_inter(1, 0)
    head = BytesIO()
    image.header.write_to(head)
    head.write(b"\0" * (int(image.header["vox_offset"]) - head.tell()))
    # level 1 of ISA-L: several times faster than zlib; no time stamp, so same data, same bytes
    opened = partial(igzip_threaded.open, compresslevel=1, threads=thread_count()) if _packed(path) else open
    with written_atomically(path) as temporary, opened(temporary, "wb") as file:
        file.write(head.getvalue())
        for piece in first_axis_fastest(data):
            file.write(piece.data.cast("B"))


def write_image(path: str | Path, volume: Volume) -> None:
    """Write a scalar image in its array's own type (bool as uint8, float16 as float32), whole or not at all.

    Raises:
        GeometryError: the grid is sheared, so that ITK could not read the file.
    """
    _write(path, volume.data, volume.grid)


def write_displacement(path: str | Path, displacement: NDArray[np.float32], grid: Grid) -> None:
    """Write a displacement field as ITK, ANTs and 3D Slicer read it.

    Args:
        path: a .nii or .nii.gz file.
        displacement: (X, Y, Z, 3), LPS mm, added to a point of `grid` to get the mapped point.
        grid: the grid that the field lives on.
    """
    if displacement.shape != (*grid.shape, 3):
        raise GeometryError(f"a field of shape {displacement.shape} does not fit a grid of {grid.shape}")
    _write(path, np.asarray(displacement, dtype=np.float32)[:, :, :, None, :], grid, _VECTOR)


def read_displacement(path: str | Path) -> tuple[NDArray[np.float32], Grid]:
    """Read a displacement field written by `write_displacement`, ITK or ANTs.

    As ITK takes it, the NIfTI intent says which frame the file's vectors are in: RAS for 1006, else LPS.

    Returns:
        (X, Y, Z, 3) LPS mm, and its grid.

    Raises:
        ImageError: not a 5-D NIfTI vector image with three components, truncated, or not finite.
        GeometryError: its affine is singular, not finite or sheared.
    """
    path = Path(path)
    image = _load(path)
    if len(image.shape) != 5 or image.shape[3:] != (1, 3):
        raise ImageError(f"has shape {image.shape}", path, "a displacement field (X, Y, Z, 1, 3) in LPS mm")
    kind = bytes(image.header["intent_name"]).rstrip(b"\0").decode("latin-1")
    if kind.startswith(_POSITIONS):
        raise ImageError(
            f"holds positions, not displacements: its intent is '{kind}'", path, "a displacement field in LPS mm"
        )
    grid = _grid(image, image.shape[:3], path)
    data = np.array(_content(image, path)[:, :, :, 0, :], dtype=np.float32, order="C")
    if int(image.header["intent_code"]) == _RAS_VECTOR:
        data[..., :2] *= -1
    _require_finite(data, path)
    return data, grid

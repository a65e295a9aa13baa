"""Entries: images and masks."""

from __future__ import annotations

import gzip
import os
import shutil

import nibabel as nib
import numpy as np
from catalogue_place import GRID, POINTS, Entry, Place, brain
from catalogue_right import as_sound, checked
from isal import igzip
from wssamnet.geometry import Grid
from wssamnet.images import Volume, write_image


def _shear(place: Place) -> object:
    affine = GRID.affine.copy()
    affine[0, 1] = 2
    return place.image("00_t1ce", brain(10), affine)


def _colours(place: Place) -> object:
    return place.image("00_t1ce", np.zeros(GRID.shape, np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")])))


def _bomb(place: Place) -> object:
    path = place.file("00_t1ce")
    return path.write_bytes(path.read_bytes() + igzip.compress(bytes(1 << 26)) * 64)  # 4 GiB of zeros


def _flip_bit(place: Place) -> object:
    packed = bytearray(place.file("00_t1ce").read_bytes())
    packed[len(packed) // 2] ^= 0xFF
    return place.file("00_t1ce").write_bytes(bytes(packed))


def _cut(place: Place, share: float) -> object:
    packed = place.file("00_t1ce").read_bytes()
    return place.file("00_t1ce").write_bytes(packed[: int(len(packed) * share)])


def _with(place: Place, value: float) -> object:
    data = place.voxels().astype(np.float32)
    data[3, 3, 3] = value
    return place.image("00_t1ce", data)


def _scaled(place: Place) -> object:
    image = nib.Nifti1Image((brain(10) + 30) * np.int16(4), GRID.affine)
    image.header.set_slope_inter(0.25, -30)
    return nib.save(image, place.file("00_t1ce"))


def _rescaled(place: Place) -> object:
    image = nib.Nifti1Image(brain(10) * 0.123 - 0.0, GRID.affine)
    image.header.set_data_dtype(np.uint16)
    return nib.save(image, place.file("00_t1ce"))


def _qform_beside(place: Place, code: int, apart_mm: float = 40) -> object:
    image = nib.Nifti1Image(brain(10), GRID.affine)
    image.set_sform(GRID.affine, code)
    shifted = GRID.affine.copy()
    shifted[1, 3] += apart_mm
    image.set_qform(shifted, 1)
    return nib.save(image, place.file("00_t1ce"))


def _loop(place: Place) -> object:
    path = place.root / "loop.nii.gz"
    path.symlink_to(path.name)
    return place.sheet(fixed_t1ce=path)


def _fifo(place: Place) -> object:
    os.mkfifo(place.root / "pipe.nii.gz")
    return place.sheet(fixed_t1ce=place.root / "pipe.nii.gz")


def _other_format(place: Place) -> object:
    path = place.root / "scan.mgz"
    nib.save(nib.MGHImage(brain(10).astype(np.float32), GRID.affine), path)
    return place.sheet(fixed_t1ce=path)


def _far(place: Place) -> object:
    far = GRID.crop((100, 0, 0), GRID.shape)
    write_image(place.file("01_t1ce"), Volume(brain(12), far))
    write_image(place.file("01_t2"), Volume(brain(13), far))
    return place.moved(POINTS.points + 100 * far.lps_affine[:3, 0], "01_landmarks")


def _everywhere(place: Place, offset: float) -> None:
    """Both scans of the first case far away in the world."""
    affine = GRID.affine.copy()
    affine[0, 3] -= offset
    for what in ("00_t1ce", "00_t2", "01_t1ce", "01_t2"):
        write_image(place.file(what), Volume(place.voxels(what), Grid(GRID.shape, affine)))
    for what in ("00_landmarks", "01_landmarks"):
        place.moved(POINTS.points + np.array([offset, 0, 0]), what)


def _mask(place: Place, data: np.ndarray, grid: Grid = GRID) -> object:
    return write_image(place.file("00_mask"), Volume(data.astype(np.uint8), grid))


def _lesion(place: Place, data: np.ndarray, grid: Grid = GRID) -> object:
    (place.cohort / "truth").mkdir()
    return write_image(place.cohort / "truth" / "BraTSReg_001_lesion.nii.gz", Volume(data.astype(np.uint8), grid))


def _smaller(place: Place, what: str, data: np.ndarray) -> object:
    return write_image(place.file(what), Volume(data[:-1], GRID.crop((0, 0, 0), (19, 22, 18))))


def _odd_names(place: Place) -> object:
    folder = place.root / "Fälle & Co"
    folder.mkdir()
    shutil.copy(place.file("00_t1ce"), folder / "vor der OP 1.nii.gz")
    return place.sheet(fixed_t1ce="Fälle & Co/vor der OP 1.nii.gz")


def _linked(place: Place) -> object:
    there = place.root / "elsewhere.nii.gz"
    place.file("00_t1ce").rename(there)
    return place.file("00_t1ce").symlink_to(there)


def _members(place: Place) -> object:
    content = gzip.decompress(place.file("00_t1ce").read_bytes())
    parts = (content[:100], content[100:5000], content[5000:])
    return place.file("00_t1ce").write_bytes(b"".join(map(gzip.compress, parts)) + bytes(64))


T1CE = "cohort/BraTSReg_001/BraTSReg_001_00_0000_t1ce.nii.gz"
SLOPE, OFFSET, UNITS, SROW_X, SROW_Y, PIXDIM, DIM = 112, 108, 123, 280, 296, 76, 40
ENTRIES = [
    Entry("a modality that is asked for is missing", lambda p: p.file("00_t2").unlink(),
        says="case 'BraTSReg_001': fixed scan: has no t2 (it has t1ce; add the file or change `modalities`)"),
    Entry("an empty file", lambda p: p.file("00_t1ce").write_bytes(b""),
        says="BraTSReg_001_00_0000_t1ce.nii.gz: is not a readable NIfTI image: Empty file (a .nii or .nii.gz file)"),
    Entry("text under an image's name", lambda p: p.file("00_t1ce").write_text("hello"),
        says="BraTSReg_001_00_0000_t1ce.nii.gz: is not a readable NIfTI image: File "
             "BraTSReg_001_00_0000_t1ce.nii.gz is not a gzip file (a .nii or .nii.gz file)"),
    Entry("not packed, but called .nii.gz", lambda p: p.file("00_t1ce").write_bytes(
        gzip.decompress(p.file("00_t1ce").read_bytes())),
        says="BraTSReg_001_00_0000_t1ce.nii.gz: is not a readable NIfTI image: File "
             "BraTSReg_001_00_0000_t1ce.nii.gz is not a gzip file (a .nii or .nii.gz file)"),
    Entry("truncated gzip", lambda p: _cut(p, 0.5),
        says="BraTSReg_001_00_0000_t1ce.nii.gz: is truncated or damaged: it ends before its content does (copy "
             "the file again)"),
    Entry("gzip without its checksum", lambda p: _cut(p, 0.9999),
        says="BraTSReg_001_00_0000_t1ce.nii.gz: is truncated or damaged: it ends before its content does (copy "
             "the file again)"),
    Entry("a byte of the gzip stream is wrong", _flip_bit,
        says="BraTSReg_001_00_0000_t1ce.nii.gz: is truncated or damaged: Error -6 Incorrect checksum found (copy "
             "the file again)"),
    Entry("gzip that goes on for 4 GiB after the image", _bomb,
        says="BraTSReg_001_00_0000_t1ce.nii.gz: is truncated or damaged: it unpacks to more than its header says "
             "(copy the file again)"),
    Entry("fewer voxels than the header says", lambda p: p.raw(p.file("00_t1ce"), lambda b: bytes(b[:-100])),
        says="BraTSReg_001_00_0000_t1ce.nii.gz: is truncated or damaged: Expected 15840 bytes, got 15740 bytes "
             "from object (copy the file again)"),
    Entry("a header that claims 30000 voxels along each axis", lambda p: p.header(42, [30000] * 3, "<i2"),
        says="BraTSReg_001_00_0000_t1ce.nii.gz: claims (30000, 30000, 30000) voxels (a brain scan; the header may "
             "be damaged)"),
    Entry("a negative size in the header", lambda p: p.header(42, [-20], "<i2"),
        says="BraTSReg_001_00_0000_t1ce.nii.gz: shape (-20, 22, 18) is not a 3-D grid (three positive sizes)"),
    Entry("a data offset that is infinite", lambda p: p.header(OFFSET, np.inf, "<f4"),
        says="BraTSReg_001_00_0000_t1ce.nii.gz: is not a readable NIfTI image: cannot convert float infinity to "
             "integer (a .nii or .nii.gz file)"),
    Entry("an unknown type of voxels", lambda p: p.header(70, 999, "<i2"),
        says="BraTSReg_001_00_0000_t1ce.nii.gz: is not a readable NIfTI image: data code 999 not recognized (a "
             ".nii or .nii.gz file)"),
    Entry("another format (MGH)", _other_format,
        says="scan.mgz: is a MGHImage, not a NIfTI image (a .nii or .nii.gz file)"),
    Entry("a named pipe in place of an image", _fifo,
        says="pipe.nii.gz: is not a regular file (a .nii or .nii.gz file)"),
    Entry("a link that leads to itself", _loop,
        says="loop.nii.gz: is a link that leads nowhere (a .nii or .nii.gz file)"),
    Entry("a folder in place of an image", lambda p: p.sheet(fixed_t1ce=p.cohort),
        says="cohort: is a folder (a .nii or .nii.gz file)"),
    Entry("four dimensions", lambda p: p.image("00_t1ce", np.stack([brain(10)] * 2, axis=-1)),
        says="BraTSReg_001_00_0000_t1ce.nii.gz: has 4 dimensions (20, 22, 18, 2) (a 3-D image)"),
    Entry("two dimensions", lambda p: p.image("00_t1ce", brain(10)[:, :, 9]),
        says="BraTSReg_001_00_0000_t1ce.nii.gz: has 2 dimensions (20, 22) (a 3-D image)"),
    Entry("colours (RGB)", _colours,
        says="BraTSReg_001_00_0000_t1ce.nii.gz: holds colours (one real number a voxel)"),
    Entry("complex numbers", lambda p: p.image("00_t1ce", brain(10).astype(np.complex64)),
        says="BraTSReg_001_00_0000_t1ce.nii.gz: holds complex numbers (one real number a voxel)"),
    Entry("a NaN", lambda p: _with(p, np.nan),
        says="BraTSReg_001_00_0000_t1ce.nii.gz: holds 1 values that are NaN or infinite (replace them, for "
             "instance by 0)"),
    Entry("an infinite value", lambda p: _with(p, np.inf),
        says="BraTSReg_001_00_0000_t1ce.nii.gz: holds 1 values that are NaN or infinite (replace them, for "
             "instance by 0)"),
    Entry("every voxel the same", lambda p: p.image("00_t1ce", np.full(GRID.shape, 7, np.int16)),
        says="BraTSReg_001_00_0000_t1ce.nii.gz: every voxel is 7 (an image with contrast)"),
    Entry("every voxel 0", lambda p: p.image("00_t1ce", np.zeros(GRID.shape, np.int16)),
        says="BraTSReg_001_00_0000_t1ce.nii.gz: every voxel is 0 (an image with contrast)"),
    Entry("a scale (scl_slope) beyond float32", lambda p: p.header(SLOPE, [1e37, 0], "<f4"),
        says="BraTSReg_001_00_0000_t1ce.nii.gz: holds values beyond the range of float32 (check the header's "
             "scl_slope and scl_inter)"),
    Entry("an offset of intensities (scl_inter) that is NaN", lambda p: p.header(SLOPE, [1, np.nan], "<f4"),
        says="BraTSReg_001_00_0000_t1ce.nii.gz: is not a readable NIfTI image: Valid slope but invalid intercept "
             "nan (a .nii or .nii.gz file)"),
    Entry("a singular affine", lambda p: p.header(SROW_Y, [0] * 4, "<f4"),
        says="BraTSReg_001_00_0000_t1ce.nii.gz: the affine is singular (three independent axes with a "
             "spacing above 0)"),
    Entry("an affine with NaN", lambda p: p.header(SROW_X, [np.nan] * 4, "<f4"),
        says="BraTSReg_001_00_0000_t1ce.nii.gz: the affine is not a finite 4x4 matrix (sixteen finite numbers)"),
    Entry("sheared axes", _shear,
        says="BraTSReg_001_00_0000_t1ce.nii.gz: has voxel axes that are not perpendicular (75.96 degrees), which "
             "ITK and ANTs cannot represent (resample it without shear, or remove the sform if the qform is right)"),
    Entry("sform and qform disagree, the sform's code is not 1", lambda p: _qform_beside(p, 2),
        says="BraTSReg_001_00_0000_t1ce.nii.gz: lies in two places, 40.0 mm apart: ITK, ANTs and 3D Slicer read its "
             "qform, others its sform (copy the right one into the other, or set the sform's code to 1 if it is the "
             "right one)"),
    Entry("neither sform nor qform", lambda p: p.image("00_t1ce", brain(10), sform=0),
        says="BraTSReg_001_00_0000_t1ce.nii.gz: has neither sform nor qform, so its place in space is unknown "
             "(set one of them)"),
    Entry("a voxel size of 0, placed by the qform", lambda p: (
        p.image("00_t1ce", brain(10), sform=0, qform=1), p.header(PIXDIM + 4, [0], "<f4")),
        says="BraTSReg_001_00_0000_t1ce.nii.gz: has a voxel size of 0 mm (three sizes above 0, or an sform)"),
    Entry("voxel sizes in micrometres, and said so", lambda p: p.header(UNITS, 3, "u1"),
        says="BraTSReg_001_00_0000_t1ce.nii.gz: gives its voxel size in micron (millimetres)"),
    Entry("an unknown unit of length", lambda p: p.header(UNITS, 7, "u1"),
        says="BraTSReg_001_00_0000_t1ce.nii.gz: gives its voxel size in an unknown unit (millimetres)"),
    Entry("voxel sizes in metres, and not said so", lambda p: p.image(
        "00_t1ce", brain(10), GRID.affine @ np.diag([1e-3, 1e-3, 1e-3, 1])),
        says="BraTSReg_001_00_0000_t1ce.nii.gz: has voxels of 0.008 x 0.008 x 0.008 mm (between 0.1 and 12 mm)"),
    Entry("voxels of 80 mm", lambda p: p.image("00_t1ce", brain(10), GRID.affine @ np.diag([10, 10, 10, 1.0])),
        says="BraTSReg_001_00_0000_t1ce.nii.gz: has voxels of 80 x 80 x 80 mm (between 0.1 and 12 mm)"),
    Entry("a slab of 16 mm", lambda p: p.image("00_t1ce", brain(10)[9:11]),
        says="BraTSReg_001_00_0000_t1ce.nii.gz: covers 16 x 176 x 144 mm (a brain: between 30 and 600 mm along "
             "each axis)"),
    Entry("a scan 1000 km from the origin of the world", lambda p: (
        p.image("00_t1ce", brain(10), np.array(GRID.crop((10**8, 0, 0), GRID.shape).affine)),
        p.check(p.cohort, "--set", "modalities=t1ce")),
        says="BraTSReg_001_00_0000_t1ce.nii.gz: lies 8e+08 mm from the origin of the world (a header that puts "
             "the scan near it)"),
    Entry("modalities of different sizes", lambda p: _smaller(p, "00_t2", brain(11)),
        says="BraTSReg_001_00_0000_t2.nii.gz: is not on the grid of BraTSReg_001_00_0000_t1ce.nii.gz: (19, 22, "
             "18) voxels against (20, 22, 18) (one grid for all images of a time point)"),
    Entry("modalities in different places", lambda p: write_image(
        p.file("00_t2"), Volume(brain(11), GRID.crop((0, 0, 1), GRID.shape))),
        says="BraTSReg_001_00_0000_t2.nii.gz: is not on the grid of BraTSReg_001_00_0000_t1ce.nii.gz: their "
             "affines differ (one grid for all images of a time point)"),
    Entry("fixed and moving scan far from each other", _far,
        says="BraTSReg_001_01_0106_t1ce.nii.gz: does not overlap the fixed scan BraTSReg_001_00_0000_t1ce.nii.gz "
             "in space (headers that put both scans into one world)"),
    Entry("one file for both scans", lambda p: p.sheet(moving_t1ce=p.file("00_t1ce")),
        says="BraTSReg_001_00_0000_t1ce.nii.gz: is given for both the fixed and the moving scan (a file for each)"),
    Entry("an empty brain mask", lambda p: _mask(p, np.zeros(GRID.shape)),
        says="BraTSReg_001_00_0000_mask.nii.gz: every voxel is 0 (1 in the brain, 0 outside)"),
    Entry("a brain mask that holds everything", lambda p: _mask(p, np.ones(GRID.shape)),
        says="BraTSReg_001_00_0000_mask.nii.gz: every voxel is 1 (1 in the brain, 0 outside)"),
    Entry("an inverted brain mask", lambda p: _mask(p, brain() == 0),
        says="BraTSReg_001_00_0000_mask.nii.gz: is mostly where the image is 0 (1 in the brain, 0 outside)"),
    Entry("a brain mask of one slice", lambda p: _mask(p, (brain() > 0) & (np.arange(GRID.shape[2]) == 9)),
        says="BraTSReg_001_00_0000_mask.nii.gz: covers 128 x 144 x 8 mm (a brain: at least 20 mm along each axis)"),
    Entry("a brain mask on another grid", lambda p: _smaller(p, "00_mask", (brain() > 0).astype(np.uint8)),
        says="BraTSReg_001_00_0000_mask.nii.gz: is not on the grid of BraTSReg_001_00_0000_t1ce.nii.gz: (19, 22, "
             "18) voxels against (20, 22, 18) (one grid for all images of a time point)"),
    Entry("a lesion mask that holds everything", lambda p: _lesion(p, np.ones(GRID.shape)),
        says="cohort/truth/BraTSReg_001_lesion.nii.gz: excludes every voxel (1 in the lesion, 0 elsewhere)"),
    Entry("the brain's mask as lesion mask", lambda p: _lesion(p, brain() > 0),
        says="cohort/truth/BraTSReg_001_lesion.nii.gz: is more than half as large as all of "
             "BraTSReg_001_00_0000_t1ce.nii.gz (1 in the lesion, 0 elsewhere)"),
    Entry("a lesion mask on another grid", lambda p: _lesion(p, brain() > 0, GRID.crop((0, 0, 1), GRID.shape)),
        says="cohort/truth/BraTSReg_001_lesion.nii.gz: is not on the grid of its image (the voxels of "
             "BraTSReg_001_00_0000_t1ce.nii.gz)"),
    Entry("an empty lesion mask of a cohort", lambda p: _lesion(p, np.zeros(GRID.shape)),
        accepted="as without one", right=as_sound),
    Entry("a modality that is not asked for is damaged", lambda p: (
        p.file("00_t2").write_bytes(b""), p.check(p.cohort, "--set", "modalities=t1ce")),
        accepted="it is not looked at", right=as_sound),
    Entry("a modality that is not asked for is missing", lambda p: (
        p.file("00_t2").unlink(), p.check(p.cohort, "--set", "modalities=t1ce")),
        accepted="it is not needed", right=as_sound),
    Entry("a wrong size of the header (sizeof_hdr)", lambda p: p.header(0, 540, "<i4"),
          accepted="the same voxels", right=as_sound),
    Entry("big-endian", lambda p: nib.save(nib.Nifti1Image(brain(10), GRID.affine, nib.Nifti1Header(
        endianness=">")), p.file("00_t1ce")), accepted="the same voxels", right=as_sound),
    Entry("float64", lambda p: p.image("00_t1ce", brain(10).astype(np.float64)),
          accepted="the same voxels", right=as_sound),
    Entry("scaled integers (scl_slope 0.25, scl_inter -30)", _scaled, accepted="the same intensities", right=as_sound),
    Entry("scaled integers whose 0 is not exact", _rescaled, accepted="the background is 0", right=as_sound),
    Entry("NIfTI-2", lambda p: nib.save(nib.Nifti2Image(brain(10), GRID.affine), p.file("00_t1ce")),
          accepted="the same voxels", right=as_sound),
    Entry("not packed (.nii)", lambda p: p.image("00_t1ce", brain(10), name="BraTSReg_001_00_0000_t1ce.nii"),
          accepted="the same voxels", right=as_sound),
    Entry("gzip in several members, padded with zeros", _members, accepted="all of them", right=as_sound),
    Entry("qform only", lambda p: p.image("00_t1ce", brain(10), sform=0, qform=1),
          accepted="the qform places it", right=as_sound),
    Entry("sform and qform disagree, the sform's code is 1", lambda p: _qform_beside(p, 1),
          accepted="the sform counts, for ITK too", right=as_sound),
    Entry("sform of code 2, a qform that is rounded", lambda p: _qform_beside(p, 2, 0.05),
          accepted="the sform counts", right=as_sound),
    Entry("a fourth axis of length 1", lambda p: p.image("00_t1ce", brain(10)[..., None]),
          accepted="three dimensions", right=as_sound),
    Entry("stored left-handed", lambda p: (p.image("00_t1ce", brain(10)[::-1], GRID.affine @ np.array(
        [[-1.0, 0, 0, 19], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])), p.check(p.cohort, "--set", "modalities=t1ce")),
        accepted="the same places", right=as_sound),
    Entry("scans 50 m from the origin of the world", lambda p: _everywhere(p, 5e4),
          accepted="as they are", right=checked),
    Entry("a link to an image", _linked, accepted="the image", right=as_sound),
    Entry("names with spaces, umlauts and &", _odd_names, accepted="as they are", right=checked),
]  # fmt: skip

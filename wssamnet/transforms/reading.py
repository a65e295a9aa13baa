"""Transforms from files: displacement fields (NIfTI), affine maps (ITK text, ANTs's .mat, a plain matrix), ITK's HDF5.

All are taken as ITK takes them: points in LPS mm; a displacement field leaves points outside its
grid unmoved. What a file may hold is read as numbers; nothing in it is executed or unpickled.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from wssamnet.errors import GeometryError, ImageError
from wssamnet.fields import AffineMap, Chain, DisplacementField, Transform
from wssamnet.files import lacking
from wssamnet.images import read_displacement
from wssamnet.transforms.ants_matrix import parse_ants_matrix
from wssamnet.transforms.itk_hdf5 import parse_itk_hdf5
from wssamnet.transforms.itk_text import MAGIC, parse_itk_text

KINDS = ".nii or .nii.gz field, ITK .tfm, .txt or .h5, ANTs .mat, or a plain 4x4 matrix in .txt, all LPS mm"
_LONGEST = 1 << 20  # bytes of a file that holds a few numbers


def _affine(matrix: np.ndarray, path: Path) -> AffineMap:
    matrix = np.asarray(matrix, dtype=np.float64)
    if not np.isfinite(matrix).all():
        raise GeometryError("holds a value that is not finite", path, "a finite affine map")
    if abs(np.linalg.det(matrix[:3, :3])) < 1e-6:
        raise GeometryError("holds a singular matrix", path, "an affine map that can be inverted")
    return AffineMap(matrix)


def _plain(text: str, path: Path) -> AffineMap:
    try:
        rows = [
            [float(value) for value in line.replace(",", " ").split()] for line in text.splitlines() if line.strip()
        ]
    except ValueError:
        raise GeometryError("is not a transform that can be read", path, KINDS) from None
    if [len(row) for row in rows] != [4, 4, 4, 4] or not np.allclose(rows[3], (0, 0, 0, 1)):
        raise GeometryError("is not a 4x4 matrix with the last row 0 0 0 1", path, KINDS)
    return _affine(np.array(rows), path)


def _words(path: Path) -> Transform:
    if path.stat().st_size > _LONGEST:
        raise GeometryError("is too large for an affine map", path, KINDS)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise GeometryError("is not a text file", path, KINDS) from None
    if not text.startswith(MAGIC):
        return _plain(text, path)
    maps = tuple(_affine(matrix, path) for matrix in parse_itk_text(text, path))
    return maps[0] if len(maps) == 1 else Chain(maps)


def _hdf5(path: Path) -> Transform:
    parts = tuple(part if isinstance(part, DisplacementField) else _affine(part, path) for part in parse_itk_hdf5(path))
    return parts[0] if len(parts) == 1 else Chain(parts)


def read_transform(path: str | Path) -> Transform:
    """Read one saved transform.

    Args:
        path: a displacement field of this tool, ITK or ANTs (5-D NIfTI, LPS mm); ITK's text of a linear
            transform (.tfm, .txt); ITK's HDF5 of linear transforms, fields and composites of them (.h5);
            ANTs's ``…GenericAffine.mat``; a .txt file with a 4x4 matrix, LPS mm.

    Returns:
        what maps (N, 3) points, LPS mm to LPS mm.

    Raises:
        ImageError, GeometryError: the file is missing, damaged, or of another kind.
    """
    path = Path(path)
    if fault := lacking(path):
        raise ImageError(fault, path, KINDS)
    name = path.name.lower()
    if name.endswith((".nii", ".nii.gz")):
        displacement, grid = read_displacement(path)
        return DisplacementField(displacement, grid, outside="zero")
    if name.endswith(".mat"):
        if path.stat().st_size > _LONGEST:
            raise GeometryError("is too large for an affine map", path, KINDS)
        content = path.read_bytes()
        if content[:1].isdigit() or content[:1] in (b"+", b"-", b" "):
            raise GeometryError(
                "is text: FSL's matrices are not in millimetres of the world",
                path,
                "a .txt with a 4x4 matrix in LPS mm",
            )
        return _affine(parse_ants_matrix(content, path), path)
    if name.endswith((".h5", ".hdf5")):
        return _hdf5(path)
    if name.endswith((".tfm", ".txt")):
        return _words(path)
    raise GeometryError("is not a transform that can be read", path, KINDS)


def read_chain(transforms: Sequence[Transform | str | Path] | Transform | str | Path) -> Chain:
    """A chain in which points travel through the given transforms in their order, the first one first.

    That is the order of ANTs's ``-t A -t B``. Files are read, transforms are taken as they are.

    Raises:
        GeometryError: none is given; else as `read_transform`.
    """
    given = [transforms] if isinstance(transforms, str | Path) or callable(transforms) else list(transforms)
    if not given:
        raise GeometryError("no transform is given", "--transform", "at least one")
    return Chain(tuple(read_transform(item) if isinstance(item, str | Path) else item for item in given))

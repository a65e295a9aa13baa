"""ANTs's ``…0GenericAffine.mat``: named arrays of a MATLAB 4 file, read as plain numbers."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np

from wssamnet.errors import GeometryError
from wssamnet.geometry import Array
from wssamnet.transforms.itk_text import centred

_TYPES = {0: "<f8", 10: "<f4"}  # MOPT: little endian, doubles or floats, a full matrix
_KINDS = ("AffineTransform", "MatrixOffsetTransformBase")


def _arrays(content: bytes, path: Path) -> dict[str, Array]:
    """Every array of the file, flattened."""
    found: dict[str, Array] = {}
    at = 0
    while at < len(content):
        try:
            kind, rows, columns, imaginary, length = struct.unpack_from("<5i", content, at)
        except struct.error:
            kind = -1
        if kind not in _TYPES or imaginary or min(rows, columns, length) < 1 or rows * columns > 100 or length > 200:
            raise GeometryError("is not a matrix file of ANTs", path, "a …0GenericAffine.mat")
        begin = at + 20 + length
        at = begin + rows * columns * np.dtype(_TYPES[kind]).itemsize
        if at > len(content):
            raise GeometryError("is truncated", path, "copy the file again")
        name = content[begin - length : begin].split(b"\0")[0].decode("latin-1")
        found[name] = np.frombuffer(content[begin:at], dtype=_TYPES[kind]).astype(np.float64)
    return found


def parse_ants_matrix(content: bytes, path: Path) -> Array:
    """The (4, 4) LPS matrix of such a file's bytes.

    Raises:
        GeometryError: damaged, or not one 3-D affine map.
    """
    arrays = _arrays(content, path)
    kinds = [name for name in arrays if name.startswith(_KINDS)]
    if len(kinds) != 1 or "fixed" not in arrays:
        raise GeometryError(
            f"holds {', '.join(sorted(arrays))[:80] or 'nothing'}", path, "one AffineTransform and its centre"
        )
    values, centre = arrays[kinds[0]], arrays["fixed"]
    if values.size != 12 or centre.size != 3:
        raise GeometryError(f"holds {values.size} parameters", path, "12 and a centre, as 3-D affine maps have")
    return centred(values[:9].reshape(3, 3), values[9:], centre)

"""ITK's HDF5 transforms (``.h5``): what ANTs writes as a composite, 3D Slicer and SimpleITK too."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np

from wssamnet.errors import GeometryError
from wssamnet.fields import DisplacementField
from wssamnet.geometry import Array, Grid
from wssamnet.transforms.itk_text import linear_matrix

_WANTED = "linear transforms and displacement fields in 3-D, or a composite of them"


def _numbers(group: Any, name: str) -> Array:
    # files of older ITK spell it so
    for key in (name, name.replace("Transform", "Tranform")):
        if isinstance(group.get(key), h5py.Dataset):
            return np.asarray(group[key][()], dtype=np.float64).ravel()
    return np.zeros(0)


def _field(values: Array, fixed: Array, path: Path) -> DisplacementField:
    if len(fixed) != 18 or not np.isfinite(fixed).all() or not np.isfinite(values).all():
        raise GeometryError("holds a displacement field whose grid or values are damaged", path, _WANTED)
    shape = [int(size) for size in fixed[:3]]
    if min(shape) < 1 or len(values) != 3 * int(np.prod(shape)):
        raise GeometryError(f"holds {len(values)} numbers for a field of {shape} voxels", path, "3 a voxel")
    try:
        grid = Grid.from_itk(shape, fixed[6:9], fixed[3:6], fixed[9:])
    except GeometryError as error:
        raise GeometryError(error.what, path, error.remedy) from None
    vectors = values.reshape(*shape[::-1], 3).transpose(2, 1, 0, 3)
    return DisplacementField(np.ascontiguousarray(vectors, dtype=np.float32), grid, outside="zero")


def parse_itk_hdf5(path: Path) -> list[Array | DisplacementField]:
    """The parts, (4, 4) LPS matrices and fields, in the order in which points travel through them.

    A composite's file lists its parts the other way: ITK applies the last one first.

    Raises:
        GeometryError: not such a file, damaged, or a transform of another kind.
    """
    found: list[Array | DisplacementField] = []
    composite = False
    try:
        with h5py.File(path, "r") as file:
            group = file.get("TransformGroup")
            if not isinstance(group, h5py.Group):
                raise GeometryError("holds no ITK transform", path, _WANTED)
            for key in sorted(group, key=int):
                kind = np.asarray(group[key]["TransformType"][()]).ravel()[0].decode("ascii")
                values, fixed = (_numbers(group[key], f"Transform{name}Parameters") for name in ("", "Fixed"))
                if kind.startswith("CompositeTransform"):
                    composite = True
                elif kind.startswith("DisplacementFieldTransform") and kind.endswith("_3_3"):
                    found.append(_field(values, fixed, path))
                else:
                    found.append(linear_matrix(kind, values, fixed, path))
    except (OSError, KeyError, ValueError, AttributeError, IndexError) as error:
        what = str(error).strip("'\"").splitlines() or ["damaged"]
        raise GeometryError(f"is not a transform that can be read: {what[0][:80]}", path, _WANTED) from None
    if not found:
        raise GeometryError("holds no ITK transform", path, _WANTED)
    if len(found) > 1 and not composite:
        raise GeometryError(f"holds {len(found)} transforms side by side", path, "one, or a CompositeTransform")
    return found[::-1]

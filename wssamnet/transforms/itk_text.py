"""ITK's text format of transforms, the linear ones in 3-D: ``#Insight Transform File V1.0``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from wssamnet.errors import GeometryError
from wssamnet.geometry import Array

MAGIC = "#Insight Transform File"


def centred(matrix: Array, translation: Array, centre: Array) -> Array:
    """(4, 4) of ITK's y = A (x - c) + t + c."""
    out = np.eye(4)
    out[:3, :3] = matrix
    out[:3, 3] = translation + centre - matrix @ centre
    return out


def _general(values: Array, fixed: Array) -> Array:
    return centred(values[:9].reshape(3, 3), values[9:12], fixed[:3])


def _euler(values: Array, fixed: Array) -> Array:
    # applied to a point: y, x, z; or x, y, z where the fourth fixed parameter says ZYX
    zyx = len(fixed) > 3 and fixed[3] != 0
    order, angles = ("xyz", values[:3]) if zyx else ("yxz", values[[1, 0, 2]])
    return centred(Rotation.from_euler(order, angles).as_matrix(), values[3:6], fixed[:3])


def _versor(vector: Array) -> Array:
    return Rotation.from_quat([*vector, np.sqrt(max(0.0, 1 - float(vector @ vector)))]).as_matrix()


def _rigid(values: Array, fixed: Array) -> Array:
    return centred(_versor(values[:3]), values[3:6], fixed[:3])


def _similarity(values: Array, fixed: Array) -> Array:
    return centred(values[6] * _versor(values[:3]), values[3:6], fixed[:3])


def _translation(values: Array, _fixed: Array) -> Array:
    return centred(np.eye(3), values[:3], np.zeros(3))


# name: parameters, fixed parameters at least, how they make a matrix
_LINEAR: dict[str, tuple[int, int, Callable[[Array, Array], Array]]] = {
    "AffineTransform": (12, 3, _general),
    "MatrixOffsetTransformBase": (12, 3, _general),
    "Euler3DTransform": (6, 3, _euler),
    "VersorRigid3DTransform": (6, 3, _rigid),
    "Similarity3DTransform": (7, 3, _similarity),
    "TranslationTransform": (3, 0, _translation),
}


def linear_matrix(name: str, values: Array, fixed: Array, path: Path) -> Array:
    """The (4, 4) LPS matrix of one of ITK's linear transforms by its type name.

    Raises:
        GeometryError: it is not linear, not 3-D, or has another number of parameters.
    """
    kind, *sizes = name.split("_")
    if kind == "IdentityTransform":
        return np.eye(4)
    if kind not in _LINEAR or sizes[1:] not in ([], ["3", "3"]):
        raise GeometryError(
            f"holds a {name}", path, f"one of {', '.join(_LINEAR)} in 3-D, or a displacement field as NIfTI"
        )
    count, least, make = _LINEAR[kind]
    if len(values) != count or len(fixed) < least:
        raise GeometryError(
            f"gives a {kind} {len(values)} parameters and {len(fixed)} fixed ones", path, f"{count} and {least}"
        )
    return make(values, fixed)


def parse_itk_text(text: str, path: Path) -> list[Array]:
    """The (4, 4) LPS matrices in the order in which points travel through them.

    A composite's file lists its parts the other way: ITK applies the last one first.

    Raises:
        GeometryError: not linear, not 3-D, or damaged.
    """
    found: list[Array] = []
    name, composite = "", False
    values: Array = np.zeros(0)
    for line in text.splitlines():
        key, colon, rest = (part.strip() for part in line.partition(":"))
        if not colon or line.startswith("#"):
            continue
        try:
            if key == "Transform":
                name = rest
                if name.startswith("CompositeTransform"):
                    composite = True
                elif name.startswith("IdentityTransform"):
                    found.append(np.eye(4))
            elif key == "Parameters":
                values = np.array(rest.split(), dtype=np.float64)
            elif key == "FixedParameters" and not name.startswith(("CompositeTransform", "IdentityTransform")):
                found.append(linear_matrix(name, values, np.array(rest.split(), dtype=np.float64), path))
                values = np.zeros(0)
        except ValueError:
            raise GeometryError(f"'{line[:60]}' is not a list of numbers", path) from None
    if not found:
        raise GeometryError("holds no transform", path, "ITK's text of a linear transform")
    if len(found) > 1 and not composite:
        raise GeometryError(f"holds {len(found)} transforms side by side", path, "one, or a CompositeTransform")
    return found[::-1]

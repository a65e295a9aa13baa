"""Inverses of whole chains."""

from __future__ import annotations

from collections.abc import Sequence

from wssamnet.errors import GeometryError
from wssamnet.fields import AffineMap, Chain, DisplacementField, InverseField, Transform


def invert(transform: Transform) -> Transform:
    """The inverse of an affine map, a displacement field, or a chain of them.

    Affine maps are inverted exactly; a field is solved at every point that is asked for
    (`InverseField`), so nothing is lost by sampling its inverse.

    Raises:
        GeometryError: any other kind of transform.
    """
    match transform:
        case AffineMap():
            return transform.inverse()
        case DisplacementField():
            return InverseField(transform)
        case InverseField():
            return transform.field
        case Chain():
            return Chain(tuple(invert(part) for part in reversed(transform.transforms)))
        case _:
            raise GeometryError(f"a {type(transform).__name__} has no inverse here", remedy="a saved transform")


def fields_of(transforms: Sequence[Transform]) -> list[DisplacementField]:
    """The displacement fields among transforms, chains looked into."""
    found: list[DisplacementField] = []
    for transform in transforms:
        if isinstance(transform, DisplacementField):
            found.append(transform)
        elif isinstance(transform, Chain):
            found += fields_of(transform.transforms)
    return found

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


def parts_of(transforms: Sequence[Transform]) -> list[Transform]:
    """The transforms in their order, chains replaced by their parts."""
    found: list[Transform] = []
    for transform in transforms:
        found += parts_of(transform.transforms) if isinstance(transform, Chain) else [transform]
    return found

"""Images of the working grid for the tools that speak ITK, and their displacement fields back."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from wssamnet.fields import DisplacementField
from wssamnet.geometry import Grid


def to_simpleitk(array: NDArray[Any], grid: Grid) -> Any:
    """A SimpleITK image, float32, of an (X, Y, Z) array on `grid`."""
    import SimpleITK as sitk

    image = sitk.GetImageFromArray(np.ascontiguousarray(array.T, dtype=np.float32))
    image.SetSpacing(grid.spacing.tolist())
    image.SetOrigin(grid.origin.tolist())
    image.SetDirection(grid.direction.ravel().tolist())
    return image


def to_itk(array: NDArray[Any], grid: Grid) -> Any:
    """The same as an image of the ``itk`` package."""
    import itk

    image = itk.image_from_array(np.ascontiguousarray(array.T, dtype=np.float32))
    image.SetSpacing(grid.spacing.tolist())
    image.SetOrigin(grid.origin.tolist())
    image.SetDirection(itk.matrix_from_array(np.ascontiguousarray(grid.direction)))
    return image


def field_from_vectors(vectors: NDArray[Any], grid: Grid) -> DisplacementField:
    """A field of ITK's array order.

    Args:
        vectors: (Z, Y, X, 3), LPS mm, as ``GetArrayFromImage`` gives it.
        grid: the (X, Y, Z) grid that it lives on.
    """
    return DisplacementField(np.ascontiguousarray(vectors.transpose(2, 1, 0, 3), dtype=np.float32), grid)

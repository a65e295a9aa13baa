"""HDF5 composites of ITK and ANTs: the same points there and here; damaged ones are refused in one line."""

from __future__ import annotations

import re
from pathlib import Path

import ants
import h5py
import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk
from scipy.ndimage import gaussian_filter
from wssamnet.errors import WssamnetError
from wssamnet.fields import Chain
from wssamnet.geometry import Array, Frame, Grid
from wssamnet.transforms import invert, read_transform


def _composite(grid: Grid) -> sitk.CompositeTransform:
    """A field on the grid, then an affine map."""
    rng = np.random.default_rng(0)
    vectors = np.stack([gaussian_filter(rng.normal(size=grid.shape[::-1]), 4) for _ in range(3)], axis=-1)
    image = sitk.GetImageFromArray(6 * vectors / np.abs(vectors).max(), isVector=True)
    image.SetSpacing(grid.spacing.tolist())
    image.SetOrigin(grid.origin.tolist())
    image.SetDirection(grid.direction.ravel().tolist())
    affine = sitk.AffineTransform(3)
    affine.SetMatrix((np.eye(3) + rng.normal(0, 0.05, (3, 3))).ravel().tolist())
    affine.SetCenter((3.0, -7, 11))
    affine.SetTranslation((4.0, -5, 6))
    return sitk.CompositeTransform([affine, sitk.DisplacementFieldTransform(image)])


def _points(grid: Grid) -> Array:
    ijk = np.random.default_rng(1).uniform(0.1, 0.9, (50, 3)) * (np.array(grid.shape) - 1)
    return grid.convert(ijk, Frame.IJK, Frame.LPS)


def test_a_composite_with_a_field_on_every_kind_of_grid(odd_grid: Grid, tmp_path: Path) -> None:
    transform, points = _composite(odd_grid), _points(odd_grid)
    sitk.WriteTransform(transform, str(tmp_path / "composite.h5"))
    theirs = np.array([transform.TransformPoint(point) for point in points.tolist()])
    ours = read_transform(tmp_path / "composite.h5")
    assert np.abs(theirs - points).max() > 3
    np.testing.assert_allclose(ours(points), theirs, atol=1e-3)
    np.testing.assert_allclose(invert(ours)(theirs), points, atol=5e-3)


def test_what_ants_writes_as_a_composite(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    texture = gaussian_filter(rng.normal(size=(24, 26, 22)), 3) * 100
    fixed = ants.from_numpy(texture, spacing=(3, 3.5, 4), origin=(10, -20, 5))
    moving = ants.from_numpy(np.roll(texture, 1, axis=0), spacing=(3, 3.5, 4), origin=(10, -20, 5))
    found = ants.registration(
        *(fixed, moving, "SyN"), reg_iterations=(5, 2), outprefix=f"{tmp_path}/t_", write_composite_transform=True
    )
    path = found["fwdtransforms"]
    path = path[0] if isinstance(path, list) else path
    points = np.array([10.0, -20, 5]) + rng.uniform(12, 55, (20, 3))
    table = pd.DataFrame(points, columns=["x", "y", "z"])
    theirs = np.asarray(ants.apply_transforms_to_points(3, table, [path], whichtoinvert=[False])[["x", "y", "z"]])
    ours = read_transform(path)
    assert isinstance(ours, Chain)
    np.testing.assert_allclose(ours(points), theirs, atol=1e-3)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ("truncated", "is not a transform that can be read"),
        ("text", "is not a transform that can be read"),
        ("other content", "holds no ITK transform"),
        ("spline", "holds a BSplineTransform_double_3_3"),
        ("too few values", "numbers for a field of"),
        ("singular grid", "the affine is singular"),
        ("not finite", "whose grid or values are damaged"),
        ("no type", "is not a transform that can be read"),
    ],
)
def test_refused_in_one_line(tmp_path: Path, damage: str, message: str) -> None:
    grid, path = Grid((6, 7, 8), np.diag([3.0, 3, 3, 1])), tmp_path / "t.h5"
    spline = sitk.BSplineTransform(3)
    sitk.WriteTransform(spline if damage == "spline" else _composite(grid), str(path))
    if damage == "truncated":
        path.write_bytes(path.read_bytes()[:2000])
    elif damage == "text":
        path.write_text("#Insight Transform File V1.0\n")
    else:
        with h5py.File(path, "a") as file:
            parts = file["TransformGroup"]
            field = next((parts[key] for key in parts if b"Displacement" in parts[key]["TransformType"][0]), None)
            if damage == "other content":
                file.move("TransformGroup", "Else")
            elif damage == "no type":
                del field["TransformType"]
            elif damage in ("singular grid", "not finite"):
                fixed = field["TransformFixedParameters"]
                fixed[6] = 0.0 if damage == "singular grid" else np.nan
            elif damage == "too few values":
                del field["TransformParameters"]
                field["TransformParameters"] = np.zeros(10)
    with pytest.raises(WssamnetError, match=re.escape(message)) as caught:
        read_transform(path)
    assert str(path) in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1

"""Fixtures for every room: odd grids, and a small prepared case with a known deformation."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, map_coordinates
from scipy.spatial.transform import Rotation
from wssamnet.files import write_json
from wssamnet.geometry import Frame, Grid
from wssamnet.images import Volume, write_image
from wssamnet.landmarks import Landmarks, write_landmarks
from wssamnet.preprocessing.prepared import PreparedCase, load_prepared


def odd_grids() -> dict[str, Grid]:
    """Grids of about one extent: the challenge's, anisotropic, flipped, permuted, oblique, odd-sized."""
    challenge = np.array([[-4.0, 0, 0, 0], [0, -4, 0, 239], [0, 0, 4, 0], [0, 0, 0, 1]])
    permuted = np.array([[0.0, 0, 3, -60], [-3.5, 0, 0, 70], [0, 4, 0, -50], [0, 0, 0, 1]])
    oblique = np.eye(4)
    oblique[:3, :3] = Rotation.from_euler("xyz", [20, -35, 100], degrees=True).as_matrix() @ np.diag([3.1, 2.7, 4.3])
    oblique[:3, 3] = (11.5, -40.25, 3)
    return {
        "challenge": Grid((40, 44, 36), challenge),
        "anisotropic": Grid((37, 30, 21), np.diag([3.0, 4.0, 6.0, 1.0])),
        "flipped": Grid((33, 34, 35), np.diag([-4.0, 4.0, -4.0, 1.0])),
        "permuted": Grid((41, 35, 39), permuted),
        "oblique": Grid((43, 45, 31), oblique),
    }


@pytest.fixture(params=sorted(odd_grids()))
def odd_grid(request: pytest.FixtureRequest) -> Grid:
    """One grid after the other of `odd_grids`."""
    return odd_grids()[request.param]


@pytest.fixture
def make_prepared(tmp_path: Path) -> Callable[..., PreparedCase]:
    """A factory of prepared cases: textured ellipsoid brains, moving = fixed under a smooth known field.

    The returned case has an extra record ``truth`` (file name of the true pull-back, (X, Y, Z, 3) voxels).
    """

    def make(
        name: str = "case_a",
        *,
        shape: tuple[int, int, int] = (32, 32, 32),
        channels: int = 1,
        seed: int = 0,
        amplitude: float = 1.5,
        landmarks: int = 8,
        root: Path | None = None,
    ) -> PreparedCase:
        rng = np.random.default_rng(seed)
        grid = Grid(shape, np.diag([4.0, 4.0, 4.0, 1.0]))
        axes = np.stack(np.meshgrid(*[np.linspace(-1, 1, n) for n in shape], indexing="ij"))
        mask = (axes**2).sum(axis=0) < 0.7
        texture = gaussian_filter(rng.normal(size=(channels, *shape)), (0, 1.5, 1.5, 1.5))
        texture = 0.5 + 0.2 * texture / texture.std()
        fixed = np.clip(texture, 0.05, 1) * mask
        u = np.stack([gaussian_filter(rng.normal(size=shape), 5) for _ in range(3)])
        u = amplitude * u / np.abs(u).max()  # moving(x + v) = fixed(x), v the inverse of u
        where = np.stack(np.meshgrid(*[np.arange(n) for n in shape], indexing="ij")) + u
        moving = np.stack([map_coordinates(channel, where, order=1) for channel in fixed])
        folder = (root or tmp_path) / name
        folder.mkdir(parents=True)

        def save(array_name: str, array: Any) -> None:
            np.save(folder / f"{array_name}.npy", array)

        save("fixed", fixed.astype(np.float16))
        save("moving", moving.astype(np.float16))
        save("fixed_mask", mask)
        save("moving_mask", moving[0] > 0)
        inside = np.argwhere(mask[4:-4, 4:-4, 4:-4]) + 4
        moving_ijk = inside[rng.choice(len(inside), landmarks, replace=False)]
        fixed_ijk = moving_ijk + u[:, moving_ijk[:, 0], moving_ijk[:, 1], moving_ijk[:, 2]].T
        for side, points in (("fixed", np.rint(fixed_ijk).astype(int)), ("moving", moving_ijk)):
            roi = np.zeros(shape, dtype=bool)
            for i, j, k in points:
                roi[max(i - 4, 0) : i + 5, max(j - 4, 0) : j + 5, max(k - 4, 0) : k + 5] = True
            save(f"{side}_roi", roi)
        pairs = [grid.convert(points, Frame.IJK, Frame.LPS) for points in (fixed_ijk, moving_ijk)]
        save("landmarks", np.stack(pairs, axis=1))
        write_image(folder / "fixed.nii.gz", Volume((fixed[0] * 1000).astype(np.int16), grid))
        write_image(folder / "moving.nii.gz", Volume((moving[0] * 1000).astype(np.int16), grid))
        write_image(folder / "fixed_brain.nii.gz", Volume(mask.astype(np.uint8), grid))
        ids = tuple(range(1, landmarks + 1))
        write_landmarks(folder / "moving_landmarks.csv", Landmarks(ids, pairs[1]))
        write_landmarks(folder / "truth.csv", Landmarks(ids, pairs[0]))
        record = {
            "id": name,
            "grid": grid.to_dict(),
            "prealignment": np.eye(4).tolist(),
            "prealigned_by": "identity",
            "modalities": ["t1ce", "t1", "t2", "flair"][:channels],
        }
        write_json(folder / "prepared.json", record)
        return load_prepared(folder)

    return make

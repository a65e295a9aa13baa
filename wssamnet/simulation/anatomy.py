"""Real anatomy (the MNI152 template in nilearn's package) and its random variation between patients."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from nilearn.datasets import (
    load_mni152_brain_mask,
    load_mni152_gm_template,
    load_mni152_template,
    load_mni152_wm_template,
)
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt, gaussian_filter
from scipy.spatial.transform import Rotation

from wssamnet.geometry import Array, Frame, Grid
from wssamnet.kernels.sampling import sample
from wssamnet.simulation.flow import Directional, FlowChain, LinearFlow, RadialFlow, random_shears, random_vortices

TISSUES = ("csf", "gm", "wm")
MASK_LEVEL = 0.5  # smoothed brain mask above which a point is brain
_PSF = 0.42  # standard deviation of a voxel's point spread, in voxels
_TEMPLATE_CENTRE = np.array([0.0, 20.0, 5.5])  # middle of the template's brain, LPS mm
_VENTRICLES = np.array([0.0, 15.0, 15.0])  # middle of the lateral ventricles, LPS mm
_TILE, _TILE_MM = 72, 1.3  # the texture repeats after 94 mm


@dataclass(frozen=True, eq=False)
class Template:
    """Tissue maps at 1 mm.

    Args:
        channels: (X, Y, Z, 4) float32: grey and white matter fraction, brain mask, and what of the
            T1 template its tissue fractions do not explain.
        depth: (X, Y, Z) float32, mm inside the brain's surface; negative outside.
        grid: where both live.
    """

    channels: NDArray[np.float32]
    depth: NDArray[np.float32]
    grid: Grid

    def at(self, points: Array, values: NDArray[np.float32] | None = None) -> NDArray[np.float32]:
        """Interpolate `channels` (or other values on the grid) at (N, 3) LPS mm template points."""
        ijk = self.grid.convert(points, Frame.LPS, Frame.IJK)
        return np.asarray(sample(self.channels if values is None else values, ijk))


@lru_cache(maxsize=1)
def _sharp_template() -> Template:
    brain = load_mni152_brain_mask(resolution=1)
    mask = np.asarray(brain.dataobj) > 0
    inside = np.argwhere(mask)
    margin = 14
    box = tuple(
        slice(max(low - margin, 0), high + margin) for low, high in zip(inside.min(0), inside.max(0) + 1, strict=True)
    )
    # the template ends at the lower edge of its grid: below it there is no brain, so pad by air
    pad = [
        (max(margin - int(low), 0), max(int(high) + margin - n, 0))
        for low, high, n in zip(inside.min(0), inside.max(0) + 1, mask.shape, strict=True)
    ]
    names = (load_mni152_gm_template, load_mni152_wm_template, load_mni152_template)
    gm, wm, t1 = (np.pad(np.asarray(load(resolution=1).dataobj, dtype=np.float32)[box], pad) for load in names)
    mask = np.pad(mask[box], pad)
    gm, wm = gm * mask, wm * mask
    inner = mask & (gm + wm > 0.5)
    design = np.stack([gm[inner], wm[inner], np.ones(int(inner.sum()))], axis=1)
    weights = np.linalg.lstsq(design, t1[inner], rcond=None)[0]
    residual = np.where(inner, t1 - weights[0] * gm - weights[1] * wm - weights[2], 0)
    channels = np.stack([gm, wm, mask, np.clip(residual, -0.15, 0.15)], axis=-1).astype(np.float32)
    depth = distance_transform_edt(mask) - distance_transform_edt(~mask)
    start = [part.start - low for part, (low, _) in zip(box, pad, strict=True)]
    x, y, z = mask.shape
    grid = Grid(mask.shape, brain.affine).crop(start, (x, y, z))
    return Template(channels, depth.astype(np.float32), grid)


@lru_cache(maxsize=3)
def load_template(spacing: float) -> Template:
    """The template as a scanner with voxels of `spacing` mm would blur it (nothing is downloaded)."""
    sharp = _sharp_template()
    # the masks' own voxels are 1 mm; below half a millimetre of blur the mask's edge would be stairs
    sigma = max(_PSF * float(np.sqrt(max(spacing**2 - 1, 0))), 0.5)
    blurred = np.stack([gaussian_filter(sharp.channels[..., c], sigma) for c in range(4)], axis=-1)
    return Template(blurred, sharp.depth, sharp.grid)


@dataclass(frozen=True, eq=False)
class Texture:
    """Random structure bound to a patient's anatomy, the same at both time points.

    Args:
        tile: (n + 1, n + 1, n + 1, 4) float32, periodic (the last plane repeats the first); unit variance.
    """

    tile: NDArray[np.float32]

    def at(self, points: Array) -> NDArray[np.float32]:
        """(N, 4) values at (N, 3) LPS mm points of the patient's reference anatomy."""
        return np.asarray(sample(self.tile, np.mod(points / _TILE_MM, _TILE)))

    @classmethod
    def random(cls, seed: tuple[int, ...], spacing: float) -> Texture:
        """Noise with equal strength in every octave between about 4 and 25 mm, blurred as by voxels of `spacing` mm."""
        noise = np.random.default_rng(seed).standard_normal((_TILE, _TILE, _TILE, 4), dtype=np.float32)
        f = np.fft.fftfreq(_TILE, _TILE_MM)
        f2 = f[:, None, None] ** 2 + f[None, :, None] ** 2 + np.fft.rfftfreq(_TILE, _TILE_MM)[None, None] ** 2
        band = np.where(f2 > 0, f2 + 1 / 25**2, 1) ** -0.75 * (f2 > 0) * np.exp(-2 * (np.pi * 1.0) ** 2 * f2)
        scale = np.sqrt((band**2).mean())
        psf = np.exp(-2 * (np.pi * _PSF * spacing) ** 2 * f2)
        filtered = np.fft.irfftn(
            np.fft.rfftn(noise, axes=(0, 1, 2)) * (band * psf / scale)[..., None], s=(_TILE,) * 3, axes=(0, 1, 2)
        )
        return cls(np.pad(filtered, [(0, 1)] * 3 + [(0, 0)], mode="wrap").astype(np.float32))


def random_anatomy(rng: np.random.Generator, centre: Array) -> FlowChain:
    """A patient's anatomy: reference points (LPS mm, brain about `centre`) to template points.

    Size and pose, ventricles wider or narrower, twelve local vortices, and Fourier shears from
    the shape of the head (170 mm) down to single gyri (14 mm).
    """
    size = rng.normal(1.08, 0.025) * np.exp(rng.normal(0, 0.025, 3))
    pose = Rotation.from_euler("xyz", rng.normal(0, 3, 3), degrees=True).as_matrix()
    placed = LinearFlow(pose * size, centre, _TEMPLATE_CENTRE + rng.normal(0, 1.5, 3))
    stretch = np.diag([1.3, 0.75, 1 / (1.3 * 0.75)])
    ventricles = RadialFlow(_VENTRICLES, stretch, 18.0, -rng.uniform(-0.3, 1.2), Directional.random(rng, 0.1))
    centres = _TEMPLATE_CENTRE + rng.uniform(-1, 1, (12, 3)) * (60, 75, 60)
    return FlowChain(
        (
            placed,
            *random_shears(rng, 12, (14, 32), 1.1),
            *random_shears(rng, 14, (35, 170), 4.5),
            *random_vortices(rng, centres, (30, 60), 4.0),
            ventricles,
        )
    )


def tissue_fractions(channels: NDArray[np.float32], texture: NDArray[np.float32]) -> NDArray[np.float32]:
    """Cerebrospinal fluid, grey and white matter of one brain from the population's maps.

    The template is an average of 152 brains and blurred where they differ; a patient's texture
    decides there which tissue it is, so that every patient has gyri of its own.

    Args:
        channels: (N, 4) of `Template.at`.
        texture: (N, 4) of `Texture.at`.

    Returns:
        (N, 3), order of `TISSUES`, summing to 1.
    """
    brain = np.maximum(channels[:, 2], 1e-3)
    gm, wm = channels[:, 0] / brain, channels[:, 1] / brain
    fractions = np.stack([1 - gm - wm, gm, wm], axis=1)
    logits = 1.6 * np.log(np.clip(fractions, 0.004, 1)) + 0.9 * texture[:, :3]
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(odds / odds.sum(axis=1, keepdims=True), dtype=np.float32)

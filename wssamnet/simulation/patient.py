"""One simulated patient: all that is drawn for it, and the exact maps between its spaces.

Spaces, all LPS mm: *template* (MNI152), *reference* (the patient's anatomy with no tumour),
*fixed* (the baseline scan) and *moving* (the follow-up scan).

    template ← reference → grown at baseline  = fixed
                         → grown at follow-up → moved → moving
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from wssamnet.errors import SettingsError
from wssamnet.geometry import Array, Frame, Grid
from wssamnet.simulation.anatomy import Texture, load_template, random_anatomy
from wssamnet.simulation.contrast import Scanner, random_scanner, random_tissue_table
from wssamnet.simulation.flow import FlowChain, LinearFlow, random_shears, random_vortices
from wssamnet.simulation.lesion import Lesion, random_lesion

CHALLENGE_GRID = Grid((240, 240, 155), np.array([[-1.0, 0, 0, 0], [0, -1, 0, 239], [0, 0, 1, 0], [0, 0, 0, 1]]))
CENTRE = np.array([119.5, -119.5, 77.0])  # the middle of the scanner's grid, LPS mm
MEDIAN_SEVERITY, SEVERITY_SPREAD = 0.82, 0.9


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
        return Texture.random(np.random.default_rng(self.texture_seed), spacing)


def scanner_grid(spacing: float) -> Grid:
    """The challenge's extent with voxels of `spacing` mm; exactly its grid at 1 mm.

    Raises:
        SettingsError: the spacing is outside 0.8 to 8 mm.
    """
    if not 0.8 <= spacing <= 8:
        raise SettingsError(f"a voxel size of {spacing} mm", "spacing_mm", "0.8 to 8")
    return CHALLENGE_GRID.resampled(spacing)


def _tumour_centre(rng: np.random.Generator, anatomy: FlowChain) -> Array:
    """A random place in deep enough white matter of the cerebrum; (3,) LPS mm, reference anatomy."""
    template = load_template(1.0)
    white = np.argwhere((template.channels[::3, ::3, ::3, 1] > 0.6) & (template.depth[::3, ::3, ::3] > 16)) * 3
    places = template.grid.convert(white, Frame.IJK, Frame.LPS)
    places = places[(places[:, 2] > -5) & (np.abs(places[:, 0]) > 16)]
    place = places[int(rng.integers(len(places)))] + rng.uniform(-1.5, 1.5, 3)
    return np.asarray(anatomy.inverse()(place[None])[0])


def random_movement(rng: np.random.Generator, centre: Array, severity: float) -> FlowChain:
    """What happened between the scans apart from the mass effect.

    Local flows about the operated site (the brain shifts towards and around the cavity),
    deformation of the whole brain in Fourier modes from 170 to 22 mm, a slight loss of volume,
    and the pose in the scanner.
    """
    near = centre + rng.normal(0, 14, (5, 3))
    far = CENTRE + rng.uniform(-1, 1, (6, 3)) * (55, 70, 50)
    turn = np.clip(rng.normal(0, 1.6 * severity, 3), -7, 7)
    shift = np.clip(rng.normal(0, 1.7 * severity, 3), -7, 7)
    pose = Rotation.from_euler("xyz", turn, degrees=True).as_matrix()
    size = 1 - np.clip(np.abs(rng.normal(0, 0.008 * severity, 3)), 0, 0.03)
    return FlowChain(
        (
            *random_vortices(rng, near, (22, 45), 4.2 * severity),
            *random_vortices(rng, far, (30, 60), 4.0 * severity),
            *random_shears(rng, 10, (60, 170), 3.2 * severity),
            *random_shears(rng, 10, (22, 50), 1.3 * np.sqrt(severity)),
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
    severity = float(np.clip(MEDIAN_SEVERITY * np.exp(spread), 0.2, 3.5))
    anatomy = random_anatomy(streams[1], CENTRE)
    centre = _tumour_centre(streams[2], anatomy)
    return Patient(
        number=number,
        severity=severity,
        anatomy=anatomy,
        lesion=random_lesion(streams[3], centre, float(np.sqrt(severity / MEDIAN_SEVERITY))),
        movement=random_movement(streams[4], centre, severity),
        table=random_tissue_table(streams[5]),
        scanners=(random_scanner(streams[5]), random_scanner(streams[5])),
        days=int(streams[0].integers(27, 900)),
        texture_seed=(seed, number, 10),
        landmark_seed=(seed, number, 11),
        noise_seeds=((seed, number, 12), (seed, number, 13)),
    )

"""From tissues to intensities: modalities, scanners, bias field and noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wssamnet.geometry import Array
from wssamnet.simulation.anatomy import TISSUES
from wssamnet.simulation.flow import unit_vectors
from wssamnet.simulation.lesion import LESIONS

MODALITIES = ("t1", "t1ce", "t2", "flair")
# rows: TISSUES then LESIONS; columns: MODALITIES; white matter on T1 or grey on T2 is about 0.5 to 0.8
_TABLE = {
    "csf": (0.16, 0.17, 1.00, 0.12),
    "gm": (0.52, 0.54, 0.58, 0.60),
    "wm": (0.76, 0.77, 0.42, 0.47),
    "oedema": (0.50, 0.51, 0.85, 0.98),
    "enhancing": (0.50, 1.20, 0.70, 0.82),
    "necrosis": (0.28, 0.30, 0.88, 0.55),
    "cavity": (0.14, 0.15, 1.02, 0.18),
    "blood": (0.86, 0.90, 0.48, 0.66),
}
_UNEXPLAINED = (1.0, 1.0, -0.7, -0.5)  # weight of the template's T1 residual by modality
_GRAIN = (0.030, 0.030, 0.045, 0.045)  # weight of the anatomy-bound texture within a tissue
FULL_SCALE = 1000.0


@dataclass(frozen=True, eq=False)
class Scanner:
    """What one acquisition adds, by modality.

    Args:
        gain: (4,) counts per unit intensity.
        gamma, bend: (4,) of the monotone curve x ↦ (1-b) x^γ + b x² / (x² + 0.3).
        noise: (4,) standard deviation, unit intensity, Rician.
        bias: (4, n, 3) rad/mm waves and (4, n) phases of the multiplicative field's cosines.
        strength: log of the bias field's typical size.
        edge: shift of the brain mask's level: skull stripping cuts a little more or less.
    """

    gain: Array
    gamma: Array
    bend: Array
    noise: Array
    bias: tuple[Array, Array]
    strength: float
    edge: float

    def acquire(
        self, modality: int, signal: NDArray[np.float32], points: Array, rng: np.random.Generator
    ) -> NDArray[np.int16]:
        """Unit intensities (N,) at scanner points (N, 3) in LPS mm to stored counts, 1 or more."""
        x = np.clip(signal, 0.01, None).astype(np.float64)
        b = self.bend[modality]
        x = (1 - b) * x ** self.gamma[modality] + b * x**2 / (x**2 + 0.3)
        field = np.zeros(len(x))
        for wave, phase in zip(self.bias[0][modality], self.bias[1][modality], strict=True):
            field += np.cos(wave[0] * points[:, 0] + wave[1] * points[:, 1] + wave[2] * points[:, 2] + phase)
        x *= np.exp(self.strength * field)
        sd = self.noise[modality]
        x = np.hypot(x + sd * rng.standard_normal(len(x)), sd * rng.standard_normal(len(x)))
        counts = np.clip(np.rint(self.gain[modality] * x), 1, np.iinfo(np.int16).max)
        return np.asarray(counts, dtype=np.int16)


def random_scanner(rng: np.random.Generator) -> Scanner:
    """Draw the scanner of one time point."""
    count = len(MODALITIES)
    waves = unit_vectors(rng, count * 3) * (2 * np.pi / rng.uniform(160, 320, (count * 3, 1)))
    return Scanner(
        gain=FULL_SCALE * np.exp(rng.normal(0, 0.45, count)),
        gamma=np.exp(rng.normal(0, 0.16, count)),
        bend=rng.uniform(0, 0.5, count),
        noise=rng.uniform(0.012, 0.03, count),
        bias=(waves.reshape(count, 3, 3), rng.uniform(0, 2 * np.pi, (count, 3))),
        strength=float(rng.uniform(0.03, 0.09)),
        edge=float(rng.uniform(-0.15, 0.15)),
    )


def random_tissue_table(rng: np.random.Generator) -> NDArray[np.float32]:
    """(8, 4) intensities of one patient: tissues and lesion tissues by modality."""
    table = np.array([_TABLE[name] for name in (*TISSUES, *LESIONS)])
    return np.asarray(table * np.exp(rng.normal(0, 0.05, table.shape)), dtype=np.float32)


def mix(
    modality: int,
    table: NDArray[np.float32],
    tissues: NDArray[np.float32],
    lesions: NDArray[np.float32],
    residual: NDArray[np.float32],
    grain: NDArray[np.float32],
) -> NDArray[np.float32]:
    """The noise-free signal of one modality.

    Args:
        modality: index into `MODALITIES`.
        table: (8, 4).
        tissues: (N, 3), summing to 1.
        lesions: (N, 5); they displace the healthy tissue.
        residual: (N,) T1 detail of the template.
        grain: (N,) anatomy-bound texture of unit variance.

    Returns:
        (N,) unit intensities.
    """
    healthy = _UNEXPLAINED[modality] * residual + _GRAIN[modality] * grain
    for column in range(tissues.shape[1]):
        healthy = healthy + table[column, modality] * tissues[:, column]
    share = 1 - lesions[:, 0]
    for column in range(1, lesions.shape[1]):
        share = share - lesions[:, column]
    out = share * healthy
    for column in range(lesions.shape[1]):
        out = out + table[tissues.shape[1] + column, modality] * lesions[:, column] * (1 + 0.5 * _GRAIN[0] * grain)
    return np.asarray(out, dtype=np.float32)

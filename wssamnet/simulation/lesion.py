"""The tumour before surgery and what is left of it after: labels and the mass effect they exert."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from wssamnet.geometry import Array
from wssamnet.simulation.flow import Directional, RadialFlow, growth_between

LESIONS = ("oedema", "enhancing", "necrosis", "cavity", "blood")


@dataclass(frozen=True, eq=False)
class Lesion:
    """One patient's tumour, described in the reference anatomy, where there is none.

    Tissue within `destroyed` mm of the centre (by direction) is lost to the tumour. Its growth
    displaces the rest; surgery removes `margin` mm more and lets the displacement relax.

    Args:
        before, after: the mass effect at either time point, reference points to grown points.
        destroyed: mm, times `outline` of the direction.
        margin: mm resected around it, times `cut` of the direction.
        rim: mm, thickness of the enhancing rim at baseline, times `core` of the direction.
        oedema: (2,) mm, its reach beyond the border at baseline and at follow-up, times `fringe`.
        residual: share of the cavity's wall that still enhances, 0 to 1.
    """

    before: RadialFlow
    after: RadialFlow
    destroyed: float
    margin: float
    rim: float
    oedema: tuple[float, float]
    residual: float
    outline: Directional
    cut: Directional
    core: Directional
    fringe: Directional

    @property
    def centre(self) -> Array:
        """(3,) LPS mm, reference anatomy."""
        return self.before.centre

    def distance(self, grown: Array, *, followup: bool) -> tuple[Array, Array]:
        """Distance from the border of the tumour or cavity, negative inside.

        Args:
            grown: (N, 3) LPS mm, after the mass effect of this time point.

        Returns:
            (N,) mm (of the stretched frame) and (N, 3) directions from the centre.
        """
        effect = self.after if followup else self.before
        r, u = effect.polar(grown)
        border = self.destroyed * self.outline(u)
        if followup:
            border = border + self.margin * self.cut(u)
        return r - effect.radius(border, u), u

    def labels(
        self, grown: Array, wm: NDArray[np.float32], texture: NDArray[np.float32], spacing: float, *, followup: bool
    ) -> NDArray[np.float32]:
        """Share of each lesion tissue in every point.

        Args:
            grown: (N, 3) LPS mm, after the mass effect of this time point.
            wm: (N,) white matter fraction; oedema spreads in it.
            texture: (N, 4) of the anatomy; frays the borders.
            spacing: mm, voxel size, which sets the width of partial volume.

        Returns:
            (N, 5) in the order of `LESIONS`; the rest to 1 is healthy tissue.
        """
        d, u = self.distance(grown, followup=followup)
        d = d + texture[:, 3]
        width = 0.35 * max(spacing, 1.0)
        inside = expit(-d / width)
        reach = self.oedema[int(followup)] * self.fringe(u) + 1.5 * texture[:, 0]
        oedema = expit((reach - d) / 1.5) * np.clip(0.15 + 1.1 * wm, 0, 1)
        out = np.zeros((len(d), len(LESIONS)), dtype=np.float32)
        if not followup:
            necrosis = expit(-(d + self.rim * self.core(u)) / width) * inside
            out[:, 0], out[:, 1], out[:, 2] = 0.9 * oedema * (1 - inside), inside - necrosis, necrosis
            return out
        wall = expit((1.6 - d) / width) - inside
        patches = expit(4 * (texture[:, 1] - 0.8 + 1.6 * self.residual))
        out[:, 3] = inside
        out[:, 1] = wall * patches * 0.8
        out[:, 4] = wall * (1 - patches) * 0.6
        out[:, 0] = 0.7 * oedema * (1 - inside - wall)
        return out


def random_lesion(rng: np.random.Generator, centre: Array, inward: Array, severity: float) -> Lesion:
    """Draw a tumour.

    Args:
        rng: its random stream.
        centre: (3,) LPS mm, reference anatomy.
        inward: (3,) direction away from the skull, longer the nearer the skull is: it does not give
            way, so the tumour pushes the other way.
        severity: scales the mass effect.
    """
    destroyed = float(rng.uniform(8, 15))
    pushed = float(np.clip(rng.uniform(5.0, 12.0) * severity, 2.5, 16))
    core = 1.5 * destroyed  # nearly a uniform swelling within, so that the map stays well-conditioned there
    axes = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    scale = np.exp(rng.normal(0, 0.14, 3))
    stretch = axes @ np.diag(scale / np.cbrt(scale.prod())) @ axes.T
    before = RadialFlow(
        centre,
        stretch,
        core,
        growth_between(core, destroyed, destroyed + pushed),
        Directional.random(rng, 0.3, lean=inward),
    )
    kept = float(rng.uniform(-0.45, 0.3)) * pushed  # negative: the cavity collapses
    after = replace(
        before,
        growth=growth_between(core, destroyed, max(destroyed + kept, 0.6 * destroyed)),
        shape=Directional.random(rng, 0.3, lean=inward),
    )
    reach = float(rng.uniform(6, 20))
    return Lesion(
        before=before,
        after=after,
        destroyed=destroyed,
        margin=float(rng.uniform(0.5, 3)),
        rim=float(rng.uniform(2.5, 5)),
        oedema=(reach, reach * float(rng.uniform(0.1, 0.7))),
        residual=float(rng.uniform(0, 0.6)),
        outline=Directional.random(rng, 0.2, frequency=3.5),
        cut=Directional.random(rng, 0.5, frequency=3),
        core=Directional.random(rng, 0.4, frequency=3),
        fringe=Directional.random(rng, 0.45, frequency=3.5),
    )

"""Prepared cases as batches of tensors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from wssamnet.errors import CohortError
from wssamnet.geometry import Frame
from wssamnet.models.padding import Box, content_box, padded_shape
from wssamnet.preprocessing.prepared import TRUTH, PreparedCase, load_prepared
from wssamnet.preprocessing.seen import SeenCase, seen_at
from wssamnet.settings import Settings

Shape = tuple[int, int, int]


@dataclass(frozen=True, eq=False)
class Batch:
    """Arrays of some cases, side by side.

    Args:
        arrays: name → (B, C, X, Y, Z) float32 images, or (B, 1, X, Y, Z) bool masks: the case's box, zeros
            appended at the end of each axis as far as the batch's largest box reaches.
        shapes: each case's own shape, without what was appended.
    """

    arrays: dict[str, Tensor]
    shapes: tuple[Shape, ...]

    def __getitem__(self, name: str) -> Tensor:
        return self.arrays[name]


@dataclass(frozen=True, eq=False)
class TrainingSet:
    """Prepared cases that train together. Their arrays stay on disk and are read batch by batch; those that the
    network sees at another voxel size than the working grid's are kept in memory once they are made.

    Args:
        cases: the cases as the network sees them; the order does not matter to the result, because they are sorted by
            id when opened.
        boxes: of each case, the part of its grid that holds either brain.
        multiple: to which the networks pad, so that a batch already is what they would make of it.
        spacing: (3,) voxel size in mm, the same for all.
        channels: modalities.
        seed: of the order in which they are drawn.
    """

    cases: tuple[PreparedCase, ...]
    boxes: tuple[Box, ...]
    multiple: int
    spacing: tuple[float, float, float]
    channels: int
    seed: int

    @property
    def ids(self) -> list[str]:
        """The cases' names."""
        return [case.id for case in self.cases]

    def draw(self, step: int, size: int) -> list[int]:
        """Which cases make up the batch of a step: shuffled passes over all, from (seed, pass) alone.

        Nothing is remembered between steps, so a resumed training draws what it would have drawn.
        """
        picks = []
        for position in range(step * size, (step + 1) * size):
            turn, place = divmod(position, len(self.cases))
            picks.append(int(np.random.default_rng((self.seed, turn)).permutation(len(self.cases))[place]))
        return picks

    def shape(self, picks: Sequence[int]) -> Shape:
        """The shape of the batch of these cases: no larger than they need, because zeros around a brain change the
        networks' instance norm, and there are none where a pair is registered.
        """
        return padded_shape(np.max([_shape(self.boxes[pick]) for pick in picks], axis=0), self.multiple)

    def batch(
        self,
        picks: Sequence[int],
        names: Sequence[str],
        device: torch.device | str = "cpu",
        *,
        share: slice = slice(None),
    ) -> Batch:
        """Read some arrays of some cases.

        Args:
            picks: indices of `cases`, the whole batch.
            names: arrays of the prepared case, such as "fixed" or "moving_mask".
            device: where the tensors go.
            share: the part of the batch that is read; its shape is the whole batch's.
        """
        shape, picks = self.shape(picks), picks[share]
        arrays: dict[str, Tensor] = {}
        for name in names:
            image = name in ("fixed", "moving")
            kind = torch.float32 if image else torch.bool
            stack = torch.zeros((len(picks), self.channels if image else 1, *shape), dtype=kind)
            for place, pick in enumerate(picks):
                source = self.cases[pick].array(name)[(..., *self.boxes[pick])]
                x, y, z = source.shape[-3:]
                stack[place, :, :x, :y, :z] = torch.from_numpy(source.astype(np.float32 if image else np.bool_))
            arrays[name] = stack.to(device)
        return Batch(arrays, tuple(_shape(self.boxes[pick]) for pick in picks))

    def landmarks(self, pick: int) -> tuple[Tensor, Tensor]:
        """Where the landmarks of a case lie in its batch: two times (N, 3), voxels in ijk order, fixed and moving.

        Args:
            pick: index of `cases`.
        """
        case, box = self.cases[pick], self.boxes[pick]
        points = case.array("landmarks")
        ijk = case.grid.convert(points.reshape(-1, 3), Frame.LPS, Frame.IJK) - [part.start for part in box]
        fixed, moving = torch.from_numpy(ijk.astype(np.float32)).view(-1, 2, 3).unbind(dim=1)
        return fixed, moving


def _shape(box: Box) -> Shape:
    x, y, z = (part.stop - part.start for part in box)
    return x, y, z


def _why_missing(case: PreparedCase, name: str) -> str:
    rois = case.has("fixed_roi") and case.has("moving_roi")
    return "prepare it again" if rois or name not in TRUTH else "a training case needs landmarks in both scans"


def _lost_rois(case: PreparedCase, needs: Sequence[str]) -> list[str]:
    """What is to be said of ROIs that the network's voxels are too large for."""
    if not isinstance(case, SeenCase):
        return []
    larger = case.grid.spacing.prod() / case.prepared.grid.spacing.prod()
    return [
        f"less than half of {name}.npy is left at voxels of {case.grid.spacing[0]:.3g} mm (prepare it with a larger "
        "roi_voxels, or set a smaller network_spacing_mm)"
        for name in needs
        if name.endswith("_roi") and 2 * larger * case.array(name).sum() < case.prepared.array(name).sum()
    ]


def open_training_set(prepared: Sequence[str | Path], settings: Settings, *, needs: Sequence[str] = ()) -> TrainingSet:
    """Open prepared folders for a training, at the voxel size at which the network sees them.

    Args:
        prepared: folders written by `prepare_case`.
        settings: `modalities`, `network_spacing_mm`, `levels` and `seed`.
        needs: arrays that every case must have besides the images and masks.

    Raises:
        CohortError: no folders; one is no prepared case, lacks an array, has other modalities or another
            voxel size than the rest, or ROIs too small for the voxel size; all problems at once.
    """
    problems: list[str] = []
    cases: list[PreparedCase] = []
    for folder in sorted({Path(folder).resolve() for folder in prepared}, key=lambda path: (path.name, path)):
        try:
            cases.append(seen_at(load_prepared(folder), settings.network_spacing_mm))
        except CohortError as error:
            problems += error.problems
    if not cases and not problems:
        problems.append("there are no prepared cases to train on")
    for case in cases:
        modalities = tuple(case.record["modalities"])
        if modalities != settings.modalities:
            problems.append(
                f"{case.folder}: was prepared with {','.join(modalities)}, the settings say "
                f"{','.join(settings.modalities)} (prepare it again, or set modalities)"
            )
        problems += [
            f"{case.folder}: {name}.npy is missing ({_why_missing(case, name)})"
            for name in ("fixed", "moving", "fixed_mask", "moving_mask", *needs)
            if not case.has(name)
        ]
        if not np.allclose(case.grid.spacing, cases[0].grid.spacing, rtol=0.01):
            sizes = [" x ".join(f"{size:.3g}" for size in c.grid.spacing) for c in (case, cases[0])]
            problems.append(
                f"{case.folder}: is seen with voxels of {sizes[0]} mm, {cases[0].id} of {sizes[1]} mm (set spacing_mm, "
                "or a network_spacing_mm above both)"
            )
    problems = problems or [f"{case.folder}: {lost}" for case in cases for lost in _lost_rois(case, needs)]
    if problems:
        raise CohortError(problems)
    boxes = tuple(content_box(case.array("fixed_mask"), case.array("moving_mask")) for case in cases)
    x, y, z = cases[0].grid.spacing
    return TrainingSet(
        tuple(cases),
        boxes,
        2 ** (settings.levels - 1),
        (float(x), float(y), float(z)),
        len(settings.modalities),
        settings.seed,
    )

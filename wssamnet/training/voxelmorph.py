"""The VoxelMorph baseline, trained by us on the same cases (its package ships no weights)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from torch import Tensor

from wssamnet.losses import lncc, smoothness
from wssamnet.models.persistence import build_model
from wssamnet.models.warp import warp
from wssamnet.settings import Settings
from wssamnet.training.checkpoint import Keeping
from wssamnet.training.dataset import open_training_set
from wssamnet.training.identity import training_identity
from wssamnet.training.loop import Plan
from wssamnet.training.stage import begin, train_and_save

_WINDOW = 9  # of the published loss
_ARRAYS = ("fixed", "moving", "fixed_mask")


def train_voxelmorph(
    prepared: Sequence[str | Path], settings: Settings, out: str | Path, *, keeping: Keeping | None = None
) -> Path:
    """Train VoxelMorph with its published loss: squared LNCC, window 9, plus the field's squared gradient.

    It sees the same pre-aligned scans as WSSAMNet; the mean of the LNCC is taken inside the fixed brain, so
    that the balance of the two terms does not depend on how much background a box holds.

    Args:
        prepared: folders of the training cases; landmarks are not used.
        settings: `voxelmorph_…`, `batch_size`, `schedule`.
        out: the model's folder; see `training.stage`.
        keeping: where the state is kept, and looked for, so that a training can go on; None keeps none.

    Returns:
        `out`.

    Raises:
        CohortError: the cases do not fit each other or the settings.
        ModelError: the loss is not finite.
        MissingPackageError: `voxelmorph` is not installed.
    """
    processes = begin(settings)
    cases = open_training_set(prepared, settings)
    model = build_model("voxelmorph", settings, cases.channels).to(processes.device)
    network = processes.shared(model)

    def losses(step: int) -> dict[str, Tensor]:
        picks, share = cases.draw(step, settings.batch_size), processes.share(settings.batch_size)
        batch = cases.batch(picks, _ARRAYS, processes.device, share=share)
        displacement, field = network(batch["fixed"], batch["moving"])
        warped = warp(batch["moving"], displacement)
        pairs, voxels = processes.weights(len(batch.shapes), batch["fixed_mask"])
        return {
            "lncc": voxels * lncc(batch["fixed"], warped, window=_WINDOW, squared=True, mask=batch["fixed_mask"]),
            "smoothness": pairs * settings.voxelmorph_smoothness * smoothness(field, kind="l2"),
        }

    identity = training_identity(cases, _ARRAYS) if keeping is not None else None
    plan = Plan(
        "voxelmorph",
        settings.voxelmorph_steps,
        settings.voxelmorph_lr,
        settings.schedule,
        defines=(settings.model_dump(mode="json"), identity),
        keeping=keeping,
    )
    return train_and_save(
        model, losses, plan, kind="voxelmorph", cases=cases, settings=settings, processes=processes, out=out
    )

"""First stage: a U-Net that finds the places where experts put landmarks, one for either scan."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from torch import Tensor

from wssamnet.losses import focal
from wssamnet.models.persistence import build_model
from wssamnet.settings import Settings
from wssamnet.training.checkpoint import Keeping
from wssamnet.training.dataset import open_training_set
from wssamnet.training.identity import training_identity
from wssamnet.training.loop import Plan
from wssamnet.training.stage import begin, train_and_save


def train_segmentation(
    side: Literal["fixed", "moving"],
    prepared: Sequence[str | Path],
    settings: Settings,
    out: str | Path,
    *,
    keeping: Keeping | None = None,
) -> Path:
    """Train one segmentation U-Net with the focal loss of the ROIs, inside the brain.

    Args:
        side: which scan it will see.
        prepared: folders of the training cases, with landmarks.
        settings: `segmentation_steps`, `segmentation_lr`, `batch_size`, `focal_gamma`, the network's shape.
        out: the model's folder; see `training.stage`.
        keeping: where the state is kept, and looked for, so that a training can go on; None keeps none.

    Returns:
        `out`.

    Raises:
        CohortError: the cases do not fit each other or the settings, or lack landmarks.
        ModelError: the loss is not finite.
    """
    processes = begin(settings)
    cases = open_training_set(prepared, settings, needs=[f"{side}_roi"])
    model = build_model("segmentation", settings, cases.channels).to(processes.device)
    network = processes.shared(model)
    names = (side, f"{side}_mask", f"{side}_roi")

    def losses(step: int) -> dict[str, Tensor]:
        picks, share = cases.draw(step, settings.batch_size), processes.share(settings.batch_size)
        batch = cases.batch(picks, names, processes.device, share=share)
        roi, mask = batch[f"{side}_roi"], batch[f"{side}_mask"]
        (voxels,) = processes.weights(mask)
        return {"focal": voxels * focal(network(batch[side]), roi, gamma=settings.focal_gamma, mask=mask)}

    identity = training_identity(cases, names) if keeping is not None else None
    plan = Plan(
        f"segmentation {side}",
        settings.segmentation_steps,
        settings.segmentation_lr,
        settings.schedule,
        defines=(settings.model_dump(mode="json"), identity),
        keeping=keeping,
    )
    return train_and_save(
        model, losses, plan, kind="segmentation", cases=cases, settings=settings, processes=processes, out=out
    )

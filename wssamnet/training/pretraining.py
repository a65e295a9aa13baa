"""Second stage: the registration U-Net learns to undo known rotations, scalings and translations."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from wssamnet.losses import image_loss, smoothness
from wssamnet.models.placement import Placement
from wssamnet.models.warp import warp
from wssamnet.settings import Settings
from wssamnet.training.augmentation import affine_displacement, random_affine
from wssamnet.training.checkpoint import Keeping
from wssamnet.training.dataset import Batch, TrainingSet, open_training_set
from wssamnet.training.identity import training_identity
from wssamnet.training.loop import Plan
from wssamnet.training.stage import begin, train_and_save
from wssamnet.training.starting import placed, wssamnet_with_segmentation

_STREAM = 1  # keeps these random numbers apart from the order of the cases, which has the same seed


def augmented_pair(
    cases: TrainingSet, step: int, settings: Settings, device: torch.device, share: slice = slice(None)
) -> Batch:
    """Volumes of either time point, drawn evenly, and their own deformed versions.

    Args:
        cases, step, settings: what is drawn depends on these alone.
        device: where the tensors go.
        share: the part of the batch that is made.

    Returns:
        "fixed" the volume, "moving" its deformed version, "fixed_mask" the volume's brain.
    """
    picks = cases.draw(step, settings.batch_size)
    generator = np.random.default_rng((settings.seed, step, _STREAM))
    images: list[Tensor] = []
    masks: list[Tensor] = []
    fields: list[Tensor] = []
    shapes: list[tuple[int, int, int]] = []
    drawn = [("fixed" if generator.random() < 0.5 else "moving", random_affine(generator, settings)) for _ in picks]
    for place, (side, matrix) in list(enumerate(drawn))[share]:
        batch = cases.batch(picks, (side, f"{side}_mask"), device, share=slice(place, place + 1))
        images.append(batch[side])
        masks.append(batch[f"{side}_mask"])
        fields.append(affine_displacement(matrix, batch.shapes[0], cases.shape(picks), cases.spacing))
        shapes += batch.shapes
    fixed = torch.cat(images)
    moving = warp(fixed, torch.stack(fields).to(device))
    return Batch({"fixed": fixed, "moving": moving, "fixed_mask": torch.cat(masks)}, tuple(shapes))


def pretrain(
    prepared: Sequence[str | Path],
    segmentation: tuple[str | Path, str | Path],
    settings: Settings,
    out: str | Path,
    *,
    keeping: Keeping | None = None,
    placement: Placement | None = None,
) -> Path:
    """Train WSSAMNet's registration U-Net on pairs of a volume and its deformed self.

    The segmentation U-Nets are used as they are: no landmark is seen in this stage.

    Args:
        prepared: folders of the training cases.
        segmentation: folders of the fixed and the moving segmentation model.
        settings: `pretraining_…`, `registration_lr`, the image losses and the smoothness.
        out: the model's folder; see `training.stage`.
        keeping: where the state is kept, and looked for, so that a training can go on; None keeps none.
        placement: devices of the three U-Nets; None for one device a process.

    Returns:
        `out`.

    Raises:
        CohortError: the cases do not fit each other or the settings.
        ModelError: a segmentation model is missing or does not fit, the loss is not finite.
    """
    processes = begin(settings)
    cases = open_training_set(prepared, settings)
    model = wssamnet_with_segmentation(segmentation, settings, cases)
    devices = placed(model, processes, placement)
    for unet in (model.segmentation_fixed, model.segmentation_moving):
        unet.requires_grad_(False)
    network = processes.shared(model)

    def losses(step: int) -> dict[str, Tensor]:
        share = processes.share(settings.batch_size)
        batch = augmented_pair(cases, step, settings, devices.registration, share)
        prediction = network(batch["fixed"], batch["moving"])
        warped = warp(batch["moving"], prediction.displacement)
        terms = image_loss(batch["fixed"], warped, settings, cases.spacing, mask=batch["fixed_mask"])
        rough = smoothness(prediction.field, kind=settings.smoothness)
        terms = {**terms, "smoothness": settings.smoothness_weight * rough}
        pairs, voxels = processes.weights(len(batch.shapes), batch["fixed_mask"])
        return {name: (voxels if name == "lncc" else pairs) * term for name, term in terms.items()}

    identity = training_identity(cases, ("fixed", "moving"), segmentation) if keeping is not None else None
    plan = Plan(
        "pretraining",
        settings.pretraining_steps,
        settings.registration_lr,
        settings.schedule,
        defines=(settings.model_dump(mode="json"), identity),
        keeping=keeping,
    )
    return train_and_save(
        model, losses, plan, kind="wssamnet", cases=cases, settings=settings, processes=processes, out=out
    )

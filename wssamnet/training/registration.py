"""Third stage: the registration itself, unsupervised by default, the segmentation trained along or frozen."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from wssamnet.losses import focal, image_loss, landmark_distance, overlap, smoothness
from wssamnet.models.padding import crop_end, pad_end
from wssamnet.models.placement import Placement
from wssamnet.models.warp import warp
from wssamnet.models.wssamnet import WSSAMNet
from wssamnet.settings import Settings
from wssamnet.training.checkpoint import Keeping
from wssamnet.training.dataset import Batch, open_training_set
from wssamnet.training.identity import training_identity
from wssamnet.training.loop import Plan
from wssamnet.training.stage import begin, train_and_save
from wssamnet.training.starting import placed, wssamnet_with_segmentation


class FrozenSegmentation:
    """Remembers what segmentations that no longer learn say of each case: half of a step's work, done once.

    Args:
        model: the network; four bytes a voxel of each case are kept in memory.
    """

    def __init__(self, model: WSSAMNet) -> None:
        self.model = model
        self.known: dict[int, tuple[Tensor, Tensor]] = {}

    def logits(self, picks: Sequence[int], batch: Batch) -> tuple[Tensor, Tensor]:
        """The logits of a batch, (B, 1, X, Y, Z) each.

        Args:
            picks: which cases these are.
            batch: with "fixed" and "moving", always the same for the same case but for the zeros appended.
        """
        fixed, moving = batch["fixed"], batch["moving"]
        with torch.no_grad():
            for place, (pick, shape) in enumerate(zip(picks, batch.shapes, strict=True)):
                if pick not in self.known:
                    f, m = (crop_end(image[place : place + 1], shape) for image in (fixed, moving))
                    pair = self.model.segment(f, m)
                    self.known[pick] = (pair[0].half(), pair[1].half())
        columns = zip(*(self.known[pick] for pick in picks), strict=True)
        f, m = (torch.cat([pad_end(one, fixed.shape[-3:]) for one in column]).to(fixed.dtype) for column in columns)
        return f, m


def train_registration(
    prepared: Sequence[str | Path],
    segmentation: tuple[str | Path, str | Path],
    pretrained: str | Path | None,
    settings: Settings,
    out: str | Path,
    *,
    keeping: Keeping | None = None,
    placement: Placement | None = None,
) -> Path:
    """Train WSSAMNet to register the pre-aligned moving scans to the fixed ones.

    Loss: image terms inside the fixed brain, plus smoothness of the field; with `stage2` "end_to_end" also
    the focal loss of both segmentations, whose U-Nets then learn along. The landmarks' distance and their ROIs' overlap
    are added where they are given a weight.

    Args:
        prepared: folders of the training cases; end to end, or with either of these two, they need landmarks.
        segmentation: folders of the fixed and the moving segmentation model.
        pretrained: folder of the pretrained WSSAMNet, whose registration U-Net is the start; None starts afresh.
        settings: `registration_…`, `stage2`, the image losses, the smoothness, `focal_…`, `landmark_weight`,
            `overlap_weight`.
        out: the model's folder; see `training.stage`.
        keeping: where the state is kept, and looked for, so that a training can go on; None keeps none.
        placement: devices of the three U-Nets; None for one device a process.

    Returns:
        `out`.

    Raises:
        CohortError: the cases do not fit each other or the settings, or lack landmarks.
        ModelError: a model is missing or does not fit, the loss is not finite.
    """
    processes = begin(settings)
    together = settings.stage2 == "end_to_end" and settings.attention != "none"
    rois = ("fixed_roi", "moving_roi") if together or settings.overlap_weight else ()
    needs = (*rois, *(("landmarks",) if settings.landmark_weight else ()))
    cases = open_training_set(prepared, settings, needs=needs)
    model = wssamnet_with_segmentation(segmentation, settings, cases, pretrained)
    devices = placed(model, processes, placement)
    for unet in (model.segmentation_fixed, model.segmentation_moving):
        unet.requires_grad_(together)
    network = processes.shared(model)
    frozen = None if together or settings.attention == "none" else FrozenSegmentation(model)
    names = ("fixed", "moving", "fixed_mask", *(("moving_mask",) if together else ()), *rois)

    def losses(step: int) -> dict[str, Tensor]:
        picks, share = cases.draw(step, settings.batch_size), processes.share(settings.batch_size)
        batch = cases.batch(picks, names, devices.registration, share=share)
        picks = picks[share]
        known = frozen.logits(picks, batch) if frozen is not None else None
        prediction = network(batch["fixed"], batch["moving"], known)
        warped = warp(batch["moving"], prediction.displacement)
        terms = image_loss(batch["fixed"], warped, settings, cases.spacing, mask=batch["fixed_mask"])
        rough = smoothness(prediction.field, kind=settings.smoothness)
        terms = {**terms, "smoothness": settings.smoothness_weight * rough}
        if settings.landmark_weight:
            points = zip(*(cases.landmarks(pick) for pick in picks), strict=True)
            distance = landmark_distance(prediction.displacement, *points, spacing=cases.spacing)
            terms["landmarks"] = settings.landmark_weight * distance
        if settings.overlap_weight:
            moved = warp(batch["moving_roi"].float(), prediction.displacement)
            terms["overlap"] = settings.overlap_weight * overlap(batch["fixed_roi"].float(), moved)
        pairs, *voxels = processes.weights(len(picks), *(batch[name] for name in names if name.endswith("_mask")))
        terms = {name: (voxels[0] if name == "lncc" else pairs) * term for name, term in terms.items()}
        if together:
            both = (("fixed", prediction.fixed_logits), ("moving", prediction.moving_logits))
            for weight, (side, logits) in zip(voxels, both, strict=True):
                roi, mask = batch[f"{side}_roi"], batch[f"{side}_mask"]
                found = focal(logits, roi, gamma=settings.focal_gamma, mask=mask)
                terms[f"focal_{side}"] = weight * settings.focal_weight * found
        return terms

    identity = (
        training_identity(cases, (*names, *needs), (*segmentation, *([] if pretrained is None else [pretrained])))
        if keeping is not None
        else None
    )
    plan = Plan(
        "registration",
        settings.registration_steps,
        settings.registration_lr,
        settings.schedule,
        defines=(settings.model_dump(mode="json"), identity, pretrained is not None),
        keeping=keeping,
    )
    return train_and_save(
        model,
        losses,
        plan,
        kind="wssamnet",
        cases=cases,
        settings=settings,
        processes=processes,
        out=out,
        record={"pretrained": pretrained is not None, "device": str(devices)},
    )

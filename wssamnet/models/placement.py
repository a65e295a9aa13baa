"""Which device holds which of WSSAMNet's three U-Nets: one for all, or one each as in the paper."""

from __future__ import annotations

import os
from dataclasses import dataclass

import torch

from wssamnet.errors import SettingsError
from wssamnet.models.wssamnet import WSSAMNet


def unseen_gpus() -> str:
    """What is wrong where Slurm gave this job GPUs that PyTorch cannot see; empty where all is well."""
    given = os.environ.get("SLURM_JOB_GPUS", "")
    if not given or torch.cuda.is_available():
        return ""
    return (
        f"its job has GPU {given}, but PyTorch sees none, so it runs on cores "
        "(in a container, the profile gpu; otherwise a PyTorch with CUDA that fits the driver)"
    )


@dataclass(frozen=True)
class Placement:
    """A device for each U-Net. The numbers that the network gives do not depend on it, on equal devices.

    Args:
        segmentation_fixed, segmentation_moving: of these two U-Nets.
        registration: of the registration U-Net; images, fields and losses lie there.
    """

    segmentation_fixed: torch.device
    segmentation_moving: torch.device
    registration: torch.device

    @classmethod
    def one(cls, device: torch.device) -> Placement:
        """All on one device."""
        return cls(device, device, device)

    @classmethod
    def three(cls) -> Placement:
        """The paper's: the first three GPUs. Without any GPU the CPU stands for all three.

        Raises:
            SettingsError: there are one or two GPUs.
        """
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if not count:
            return cls.one(torch.device("cpu"))
        if count < 3:
            raise SettingsError(
                "'three_devices' needs three GPUs", "placement", f"{count} can be seen here; data_parallel needs one"
            )
        return cls(*(torch.device("cuda", number) for number in range(3)))

    def place(self, model: WSSAMNet) -> WSSAMNet:
        """Move each U-Net to its device, and what is beside them to the registration's."""
        model.segmentation_fixed.to(self.segmentation_fixed)
        model.segmentation_moving.to(self.segmentation_moving)
        model.registration.to(self.registration)
        if model.hints is not None:
            model.hints.to(self.registration)
        return model

    def __str__(self) -> str:
        devices = (self.segmentation_fixed, self.segmentation_moving, self.registration)
        return ", ".join(dict.fromkeys(map(str, devices)))

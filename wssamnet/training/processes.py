"""The processes that train one network together, each with its share of every batch; usually there is one.

Data-parallel training as torch has it: `torchrun`, or ``--processes`` of the trainings, starts the processes and tells
each its place; gradients are averaged by ``DistributedDataParallel``, over NCCL on GPUs and Gloo on cores. What is
agreed on besides (losses, weights of shares, whether time is up) goes over Gloo.
"""

from __future__ import annotations

import atexit
import importlib
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from wssamnet.errors import ProcessLost, SettingsError

_CPU = torch.device("cpu")
_LONGEST = timedelta(hours=2)  # that one waits for another: it may read a cohort, or save to a slow disk


def started_together() -> bool:
    """Whether `torchrun` started this process as one of several."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1


@dataclass(frozen=True)
class Processes:
    """Which of how many this process is.

    Args:
        rank: from 0; only the first writes, and shows progress.
        count: in all, on every node.
        device: of this one.
    """

    rank: int = 0
    count: int = 1
    device: torch.device = _CPU

    @classmethod
    def join(cls, batch_size: int) -> Processes:
        """Meet the others that `torchrun` started, or be alone.

        Args:
            batch_size: of a step, to be shared out.

        Raises:
            SettingsError: more processes than a batch has pairs, or than this machine has GPUs.
            ProcessLost: the others cannot be met.
        """
        gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if not started_together():
            return cls(device=torch.device("cuda") if gpus else _CPU)
        rank, count, place = (int(os.environ[name]) for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"))
        if batch_size < count:
            raise SettingsError(
                f"'{batch_size}' cannot be shared out to {count} processes", "batch_size", f"at least {count}"
            )
        if gpus and place >= gpus:
            raise SettingsError(
                f"{os.environ['LOCAL_WORLD_SIZE']} on a machine with {gpus} GPUs", "processes", "one a GPU"
            )
        if gpus:
            torch.cuda.set_device(place)
        if not dist.is_initialized():
            # Any optimiser imports this; imported while there is a group, it holds it beyond its end, and a thread of a
            # group that outlives the interpreter aborts the process.
            importlib.import_module("torch._dynamo")
            with _others_needed():
                dist.init_process_group("cpu:gloo,cuda:nccl" if gpus else "gloo", timeout=_LONGEST)
            atexit.register(_leave)  # however the training ends
        return cls(rank, count, torch.device("cuda", place) if gpus else _CPU)

    @property
    def first(self) -> bool:
        """Whether this is the one that writes."""
        return self.rank == 0

    def share(self, size: int) -> slice:
        """This process's part of a batch of `size`; the parts differ by at most one."""
        return slice(size * self.rank // self.count, size * (self.rank + 1) // self.count)

    def weights(self, *amounts: int | Tensor) -> list[float]:
        """What a mean over this process's share has to be multiplied with, so that the mean over the processes is
        the mean over the whole batch.

        A mean over voxels is not the mean of its parts' means, unless the parts are of one size.

        Args:
            amounts: what a mean is taken over: a number of items, or a mask whose true voxels are counted.

        Returns:
            for each amount its share of the sum over all processes, times their number; 1 for a lone process.
        """
        if self.count == 1:
            return [1.0] * len(amounts)
        own = [float(amount.sum() if isinstance(amount, Tensor) else amount) for amount in amounts]
        total = torch.tensor(own, dtype=torch.float64)
        with _others_needed():
            dist.all_reduce(total)
        return [self.count * part / max(whole, 1.0) for part, whole in zip(own, total.tolist(), strict=True)]

    def mean(self, row: Mapping[str, float]) -> dict[str, float]:
        """Each value's mean over the processes."""
        if self.count == 1:
            return dict(row)
        values = torch.tensor(list(row.values()), dtype=torch.float64)
        with _others_needed():
            dist.all_reduce(values)
        return dict(zip(row, (values / self.count).tolist(), strict=True))

    def any(self, answer: bool) -> bool:
        """Whether any process says so."""
        return self.mean({"": float(answer)})[""] > 0

    def told(self, thing: Any) -> Any:
        """What the first process has: plain values and tensors in the memory of the CPU."""
        if self.count == 1:
            return thing
        things = [thing]
        with _others_needed():
            dist.broadcast_object_list(things, src=0, device=_CPU)
        return things[0]

    def shared(self, model: nn.Module) -> nn.Module:
        """`model` so that its gradients become the mean over the processes; call what is returned, train `model`."""
        if self.count == 1:
            return model
        with _others_needed():
            return DistributedDataParallel(model)

    def backward(self, total: Tensor) -> None:
        """Differentiate, and wait for the gradients of the others."""
        with _others_needed():
            torch.autograd.backward(total)

    def part(self) -> None:
        """Wait until all are done; call at the end of a training."""
        self.any(False)


def _leave() -> None:
    if dist.is_initialized():
        dist.destroy_process_group()


@contextmanager
def _others_needed() -> Iterator[None]:
    """What torch raises in here because another process is gone becomes `ProcessLost`."""
    try:
        yield
    except RuntimeError as error:
        if isinstance(error, dist.DistError) or "gloo" in str(error).lower():
            raise ProcessLost(str(error).splitlines()[0]) from None
        raise


@contextmanager
def one_voice() -> Iterator[bool]:
    """Yield whether this process tells the user why the training ends: of several that end, the first does.

    The others wait until that is done: once a process has ended, `torchrun` ends the rest.
    """
    if not started_together():
        yield True
        return
    try:
        store = dist.TCPStore(
            os.environ["MASTER_ADDR"],
            int(os.environ["MASTER_PORT"]),
            is_master=False,
            wait_for_workers=False,
            timeout=timedelta(seconds=10),
        )
        speaks = store.add("wssamnet/ends", 1) == 1
        if not speaks:
            store.wait(["wssamnet/told"])
    except dist.DistError:  # the store is gone, or nobody spoke
        yield True
        return
    yield speaks
    if speaks:
        store.set("wssamnet/told", "")

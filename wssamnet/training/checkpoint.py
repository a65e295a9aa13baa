"""The state of a training on disk: there whole or not at all, with one before it should a file go bad."""

from __future__ import annotations

import pickle
import shutil
import sys
import time
import zipfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from wssamnet.errors import ModelError
from wssamnet.files import written_atomically

_STALE_SECONDS = 3600  # no save takes so long
LAST, PREVIOUS, BEST = "last.pt", "previous.pt", "best.pt"
State = dict[str, Any]


@dataclass(frozen=True)
class Keeping:
    """Where a training keeps its state, how often, and when it has to stop.

    Args:
        root: each training has its own folder in there, named by what defines it.
        every: seconds between two saves; 0 saves at every step.
        deadline: on the clock of `time.monotonic`; before it the training saves and stops. None: never.
        reserve: seconds that are left free before the deadline, besides what a step and a save take.
    """

    root: Path
    every: float = 300.0
    deadline: float | None = None
    reserve: float = 0.0

    @classmethod
    def until(cls, root: Path, every: float, time_limit: float | None) -> Keeping:
        """With a wall-time budget that begins now.

        Slurm may warn, and Nextflow's wrapper then ends the task, up to 90 s before the limit: three minutes
        are left free, or half of a shorter budget.

        Args:
            root, every: see the class.
            time_limit: seconds; None for no limit.
        """
        if time_limit is None:
            return cls(root, every)
        return cls(root, every, time.monotonic() + time_limit, min(180.0, time_limit / 2))


def _write(state: State, file: Path) -> None:
    try:
        torch.save(state, file)
    except RuntimeError as error:  # how torch tells of a full disk
        free = shutil.disk_usage(file.parent).free
        raise ModelError(
            f"the checkpoint could not be written ({free / 1e6:.1f} MB are free; {str(error).splitlines()[0]})",
            file.parent,
            "make room, or choose another checkpoint folder; the training goes on from the one before",
        ) from None


def save_checkpoint(path: str | Path, state: State) -> None:
    """Write tensors and plain values, whole or not at all.

    Raises:
        ModelError: the disk is full.
    """
    with written_atomically(path) as temporary:
        _write(state, temporary)


def load_checkpoint(path: str | Path, *, key: str) -> State:
    """Read what `save_checkpoint` wrote; tensors and plain values only, never code.

    Args:
        path: the file.
        key: what defines the run; a checkpoint of another run is refused.

    Raises:
        ModelError: damaged (every byte of the content is checked), holds more than tensors and plain values,
            or belongs to another run.
    """
    path = Path(path)
    try:
        with zipfile.ZipFile(path) as archive:
            if archive.testzip() is not None:
                raise zipfile.BadZipFile
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (zipfile.BadZipFile, pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError) as error:
        refused = "Weights only load failed" in str(error)
        what = "holds more than weights and is refused" if refused else "is damaged"
        raise ModelError(what, path, "delete it to start this training again") from None
    if not isinstance(state, dict) or state.get("key") != key:
        raise ModelError("belongs to a training with other settings or cases", path, "use another checkpoint folder")
    return state


@dataclass(frozen=True)
class CheckpointFolder:
    """The checkpoints of one training.

    ``last.pt`` is the newest state, ``previous.pt`` the one before it, ``best.pt`` the one with the lowest
    loss. All three are full states of the same training, so any of them can be gone on from.

    Args:
        path: the folder.
        key: what defines the training.
    """

    path: Path
    key: str

    def newest(self) -> State | None:
        """The newest state that can be read; one that cannot is named on standard error.

        Returns:
            None where there is none.
        """
        for stale in self.path.glob(".*.pt"):  # a killed training was writing it; of now it may be another's
            with suppress(FileNotFoundError):
                if time.time() - stale.stat().st_mtime > _STALE_SECONDS:
                    stale.unlink()
        for name in (LAST, PREVIOUS, BEST):
            if not (self.path / name).is_file():
                continue
            try:
                return load_checkpoint(self.path / name, key=self.key)
            except ModelError as error:
                print(f"wssamnet: {self.path / name}: {error.what}; the one before it is used", file=sys.stderr)
        return None

    def save(self, state: State, *, best: bool) -> float:
        """Make `state` the last one, and the best one if it is.

        Returns:
            the seconds that it took.

        Raises:
            ModelError: the disk is full; what was there before is still there.
        """
        begin = time.monotonic()
        last = self.path / LAST
        with written_atomically(last) as temporary:
            _write({**state, "key": self.key}, temporary)
            if best:
                with written_atomically(self.path / BEST) as copy:
                    shutil.copyfile(temporary, copy)
            with suppress(FileNotFoundError):  # the first one, or another job of the same training has just moved it
                last.replace(self.path / PREVIOUS)
        return time.monotonic() - begin

"""What goes wrong on clusters, done on purpose to one task each, as soon as its training has saved twice."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cluster import Job, until
from study import Study, end

PATIENCE = 600.0  # seconds until a training must have saved


def _saved(study: Study, stage: str) -> Path:
    """The folder of a training's checkpoints, once it holds two."""
    found: list[Path] = []

    def two() -> bool:
        found[:] = study.out.glob(f"checkpoints/{stage}-*/previous.pt")
        return bool(found)

    assert until(two, PATIENCE, every=0.02), f"{stage} saved no two checkpoints"
    return found[0].parent


def _running(study: Study, name: str) -> Job:
    jobs = study.cluster.jobs(name, "RUNNING")
    assert len(jobs) == 1, f"{name}: {jobs}"
    return jobs[0]


def _pid(folder: Path, words: str) -> int:
    """The process with these words in its command line that works in a task's folder."""
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            if words in line and (entry / "cwd").resolve() == folder and "python" in line.split()[0]:
                return int(entry.name)
        except (FileNotFoundError, ProcessLookupError):
            continue
    raise AssertionError(f"no process {words!r} in {folder}")


def cancel(study: Study) -> None:
    """Somebody cancels a training's job."""
    _saved(study, "segmentation_fixed")
    study.cluster.call("scancel", str(_running(study, "TRAIN_SEGMENTATION_(fold1,_fixed)").id))


def kill_while_saving(study: Study) -> None:
    """A training's process is killed while it writes a checkpoint."""
    folder = _saved(study, "segmentation_moving")
    pid = _pid(_running(study, "TRAIN_SEGMENTATION_(fold1,_moving)").folder, "train-segmentation moving")
    assert until(lambda: any(folder.glob(".*.last.pt")), 60, every=0.0005)
    os.kill(pid, signal.SIGKILL)


def lose_the_node(study: Study) -> None:
    """The node goes down under a training, and comes back a little later."""
    _saved(study, "pretraining")
    job = _running(study, "PRETRAIN")
    study.cluster.call("scontrol", "update", "nodename=g1", "state=down", "reason=test")
    lost = until(lambda: job.id in {gone.id for gone in study.cluster.jobs("PRETRAIN", "NODE_FAIL")}, 30)
    assert lost, study.cluster.jobs("PRETRAIN")
    # Slurm takes the node back by itself when its daemon reports.
    if not until(lambda: "down" not in study.cluster.call("sinfo", "-hN", "-n", "g1", "-o", "%t"), 20):
        study.cluster.call("scontrol", "update", "nodename=g1", "state=resume")


def lose_the_head(study: Study, head: subprocess.Popen[bytes]) -> Path:
    """Nextflow itself is killed; the job it had submitted is cancelled, and its last checkpoint goes bad.

    Returns:
        the bad checkpoint.
    """
    folder = _saved(study, "registration")
    job = _running(study, "TRAIN_REGISTRATION")
    end(head)
    study.cluster.call("scancel", str(job.id))
    assert until(lambda: job.id in {gone.id for gone in study.cluster.jobs("", "CANCELLED")}, 30)
    last = folder / "last.pt"
    content = bytearray(last.read_bytes())
    content[len(content) // 2] ^= 255
    last.write_bytes(content)
    return last


@dataclass(frozen=True)
class Disk:
    """A file system in memory of a few pages."""

    folder: Path

    def grow(self) -> None:
        """Room for everything."""
        subprocess.run(["mount", "-o", "remount,size=500m", self.folder], check=True, timeout=20)


@contextmanager
def small_disk(folder: Path) -> Iterator[Disk]:
    """A disk on which links and short logs have room, but no registration."""
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", folder], check=True, timeout=20)
    try:
        yield Disk(folder)
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True, timeout=20)

"""The pipeline on the tests' cluster: a copy of the checkout, its runs, and the numbers they leave."""

from __future__ import annotations

import csv
import os
import shutil
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

from cluster import Cluster, Job

ROOT = Path(__file__).parents[2]
COPIED = ("main.nf", "nextflow.config", "nextflow_schema.json", "conf", "modules", "bin", "wssamnet")
TRAININGS = ("TRAIN_SEGMENTATION", "PRETRAIN", "TRAIN_REGISTRATION", "TRAIN_VOXELMORPH")
MEASURED = ("seconds", "prealign_seconds")  # columns that differ from run to run
# Short waits, and a note of the GPU that each job is given.
CONFIGURATION = """
executor {
    pollInterval = '1 sec'
    queueStatInterval = '1 sec'
    exitReadTimeout = '5 sec'
}
process {
    beforeScript = 'echo "$SLURM_JOB_ID ${CUDA_VISIBLE_DEVICES:-none}" >> GPUS'
    MORE
}
"""


@dataclass(frozen=True)
class Study:
    """A folder in which Nextflow is called.

    Args:
        folder: holds the checkout, ``work``, the results and the logs.
        cluster: where the tasks run.
        results: name of the folder of the results.
    """

    folder: Path
    cluster: Cluster
    results: str = "out"

    @classmethod
    def make(cls, folder: Path, cluster: Cluster) -> Study:
        """With a copy of the checkout, so that an edit meanwhile changes nothing."""
        checkout = folder / "checkout"
        checkout.mkdir(parents=True)
        for name in COPIED:
            source = ROOT / name
            if source.is_dir():
                shutil.copytree(source, checkout / name)  # with times: the compiled kernels stay valid
            else:
                shutil.copy2(source, checkout / name)
        (checkout / ".venv").symlink_to(ROOT / ".venv")
        return cls(folder, cluster)

    @property
    def out(self) -> Path:
        """The results."""
        return self.folder / self.results

    def begin(self, *words: object, process: str = "") -> subprocess.Popen[bytes]:
        """Start ``nextflow run``; its output is added to ``log``.

        Args:
            words: more parameters.
            process: more lines of the configuration's ``process`` block.
        """
        settings = self.folder / "cluster.config"
        text = CONFIGURATION.replace("GPUS", str(self.folder / "gpus")).replace("MORE", process)
        settings.write_text(text, encoding="utf-8")
        program = shutil.which("nextflow") or str(ROOT / ".venv" / "bin" / "nextflow")
        words = (
            *("run", self.folder / "checkout" / "main.nf", "-profile", "slurm,test", "-c", settings),
            *("--slurm_partition", "cpu", "--slurm_gpu_partition", "gpu", "--max_cpus", 1, "--max_memory", "3 GB"),
            *("--outdir", self.results, *words),
        )
        with (self.folder / "log").open("ab") as log:
            return subprocess.Popen(
                [program, *map(str, words)],
                cwd=self.folder,
                env={**os.environ, **self.cluster.environment, "NXF_ANSI_LOG": "false"},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def outcome(self, head: subprocess.Popen[bytes], seconds: float) -> tuple[str, int | None]:
        """Wait for the end of a run: the whole log, and the exit status; None where it was ended after `seconds`."""
        try:
            status = head.wait(seconds)
        except subprocess.TimeoutExpired:
            status = None
            end(head)
        return (self.folder / "log").read_text(encoding="utf-8", errors="replace"), status

    def finish(self, head: subprocess.Popen[bytes], seconds: float) -> str:
        """Wait for the end of a run and return its whole log; the run is ended after `seconds`.

        Raises:
            AssertionError: it did not end well.
        """
        log, status = self.outcome(head, seconds)
        assert status == 0, f"{'too long' if status is None else f'exit status {status}'}\n{log[-6000:]}"
        return log

    def trace(self) -> list[dict[str, str]]:
        """Every task of the last run."""
        with (self.out / "pipeline_info" / "trace.txt").open(encoding="utf-8") as stream:
            return list(csv.DictReader(stream, delimiter="\t"))

    def numbers(self) -> list[dict[str, str]]:
        """The table of cases, digit for digit, without what is measured by the clock."""
        with (self.out / "tables" / "per_case.csv").open(encoding="utf-8") as stream:
            rows = list(csv.DictReader(stream))
        return [{name: value for name, value in row.items() if name not in MEASURED} for row in rows]

    def gpu_of(self) -> dict[int, str]:
        """Job → the number of the GPU that it was given, or "none"."""
        lines = (self.folder / "gpus").read_text(encoding="utf-8").splitlines()
        return {int(line.split()[0]): line.split()[1] for line in lines if not line.startswith(" ")}


def end(head: subprocess.Popen[bytes]) -> None:
    """Kill a run's head, and whatever of it runs beside it, at once."""
    if head.poll() is None:
        os.killpg(head.pid, signal.SIGKILL)
        head.wait(20)


@dataclass(frozen=True)
class Ended:
    """A finished run: its folder, what Nextflow printed, its jobs, its numbers."""

    study: Study
    log: str
    jobs: list[Job]
    numbers: list[dict[str, str]]
    trace: list[dict[str, str]]


@dataclass(frozen=True)
class Suffered(Ended):
    """What came of the run that was disturbed.

    Args:
        bad: the checkpoint that was damaged.
    """

    bad: Path


@dataclass(frozen=True)
class Crowded(Ended):
    """What came of the run whose disk was full, and, in `log` and the rest, of the one after there was room.

    Args:
        refusal: what Nextflow had printed when it stopped.
        status: its exit status.
        left: what the task had left in its folder besides Nextflow's own files.
    """

    refusal: str
    status: int | None
    left: list[Path]

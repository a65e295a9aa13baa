"""What many cases cost the pipeline itself: stubs do the work, so that Nextflow, its tasks and their folders remain.

    python benchmarks/scale.py [--cases 100 300 1000] [--cases-per-task 1 10] [--executor local slurm] [--out FILE]

A quarter of the cases is tested, by all seven methods. Prints one row a run; see `Row`. With
``slurm``, tests/slurm/cluster.py starts a real cluster here (as root), and each step is submitted as array jobs.
"""

from __future__ import annotations

import argparse
import csv
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import astuple, dataclass, fields
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests" / "slurm"))
from cluster import Cluster, obstacle  # noqa: E402

COPIED = ("main.nf", "nextflow.config", "nextflow_schema.json", "conf", "modules", "wssamnet")
LOCAL = "executor { cpus = 8; memory = '8 GB' }\n"  # a stub mostly waits
LIMIT = 3600.0  # seconds for a run
# Short waits, as in the tests: a stub does not take as long as a site's poll.
CLUSTER = """
executor { pollInterval = '1 sec'; queueStatInterval = '2 sec'; exitReadTimeout = '30 sec'; submitRateLimit = null }
"""


@dataclass(frozen=True)
class Row:
    """One run.

    Args:
        tasks: of all steps.
        ms_a_task: wall time over the number of tasks, so the cost of scheduling one.
        cpu_ms_a_task: processor time of Nextflow and, where they run beside it, of all tasks, over their number;
            other work on the machine disturbs it less.
        median_task_ms: from submission to end.
        head_peak_mib: the most memory that Nextflow's process held.
        inodes_a_case: files, folders and links in ``work/``; `kib_a_case`: what they occupy.
    """

    executor: str
    cases: int
    cases_per_task: int
    tasks: int
    wall_s: int
    ms_a_task: int
    cpu_ms_a_task: int
    median_task_ms: int
    head_peak_mib: int
    inodes_a_case: int
    kib_a_case: int


def lay_out(folder: Path, cases: int) -> Path:
    """A cohort of empty files, named as the challenge names them."""
    for number in range(1, cases + 1):
        name = f"BraTSReg_{number:04d}"
        case = folder / name
        case.mkdir(parents=True)
        for visit in ("00_0000", "01_0106"):
            for rest in ("flair.nii.gz", "t1.nii.gz", "t1ce.nii.gz", "t2.nii.gz", "landmarks.csv"):
                (case / f"{name}_{visit}_{rest}").touch()
    return folder


def copy_checkout(folder: Path) -> Path:
    """The pipeline, with a ``wssamnet`` that only tells its version."""
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            folder.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, folder / name)
    program = folder / "bin" / "wssamnet"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\necho wssamnet stub\n", encoding="utf-8")
    program.chmod(0o755)
    return folder


def size_of(folder: Path) -> tuple[int, int]:
    """Inodes and KiB on the disk below a folder, links not followed."""
    entries = [folder, *folder.rglob("*")]
    return len(entries), sum(entry.lstat().st_blocks for entry in entries) // 2


def run(executor: str, cases: int, per_task: int, folder: Path, cluster: Cluster | None) -> Row:
    """One run of the pipeline in an empty folder.

    Raises:
        RuntimeError: it did not end well; the end of its log.
    """
    cohort = lay_out(folder / "cohort", cases)
    settings = folder / "scale.config"
    settings.write_text(CLUSTER if cluster else LOCAL, encoding="utf-8")
    words = ["-stub-run", "-c", settings, "--input", cohort, "--outdir", "out", "--max_cpus", 1]
    words += ["--max_memory", "200 MB", "--cases_per_task", per_task, "--max_retries", 0]
    if cluster:
        words += ["-profile", "slurm", "--slurm_partition", "cpu", "--slurm_gpu_partition", "gpu"]
        words += ["--slurm_array_size", 50, "--slurm_queue_size", 500]
    environment = {**os.environ, **(cluster.environment if cluster else {}), "NXF_ANSI_LOG": "false"}
    environment.setdefault("NXF_OPTS", "-Xmx1g")
    program = shutil.which("nextflow") or str(ROOT / ".venv" / "bin" / "nextflow")
    checkout = copy_checkout(folder / "checkout")
    environment["PATH"] = f"{checkout / 'bin'}:{environment['PATH']}"  # before an activated environment's own
    began, before = time.monotonic(), sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2])
    with (folder / "log").open("wb") as log:
        head = subprocess.Popen(
            [program, "run", str(checkout / "main.nf"), *map(str, words)], cwd=folder, env=environment,
            stdin=subprocess.DEVNULL, stdout=log, stderr=log,
        )  # fmt: skip
        peak = 0
        try:
            while head.poll() is None:
                peak = max(peak, peak_of(head.pid))
                if time.monotonic() - began > LIMIT:
                    raise RuntimeError(f"{cases} cases took more than {LIMIT:.0f} s")
                time.sleep(0.5)
        finally:
            head.terminate()  # it ends its tasks
            head.wait(60)
    wall = time.monotonic() - began
    used = sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2]) - before
    if head.returncode:
        raise RuntimeError((folder / "log").read_text(encoding="utf-8", errors="replace")[-4000:])
    durations = task_seconds(folder / "out" / "pipeline_info" / "trace.txt")
    inodes, kib = size_of(folder / "work")
    tasks = len(durations)
    return Row(
        executor, cases, per_task, tasks, round(wall), round(1000 * wall / tasks), round(1000 * used / tasks),
        round(1000 * statistics.median(durations)), peak // 1024, round(inodes / cases), round(kib / cases),
    )  # fmt: skip


def peak_of(pid: int) -> int:
    """KiB that a process has held at most; 0 when it is gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("VmHWM")), 0)


def task_seconds(trace: Path) -> list[float]:
    """From submission to end, of every task."""
    units = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
    with trace.open(encoding="utf-8") as stream:
        texts = [row["duration"] for row in csv.DictReader(stream, delimiter="\t")]
    return [
        sum(float(part.rstrip("msh")) * units[part.lstrip("0123456789.")] for part in text.split()) for text in texts
    ]


def main() -> None:
    """Run what is asked for, and print the table as it grows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, nargs="+", default=[100, 300, 1000])
    parser.add_argument("--cases-per-task", type=int, nargs="+", default=[1, 10])
    parser.add_argument("--executor", nargs="+", choices=("local", "slurm"), default=["local"])
    parser.add_argument("--out", type=Path, help="write the rows as CSV, too")
    asked = parser.parse_args()
    if "slurm" in asked.executor and (reason := obstacle()):
        sys.exit(f"scale: no Slurm here: {reason}")
    names = [field.name for field in fields(Row)]
    print("| " + " | ".join(names) + " |\n|" + "---|" * len(names), flush=True)
    rows: list[Row] = []
    for executor in asked.executor:
        for cases in asked.cases:
            for per_task in asked.cases_per_task:
                with tempfile.TemporaryDirectory(prefix="scale") as name:
                    folder = Path(name)
                    folder.chmod(0o755)
                    cluster = Cluster(folder / "slurm") if executor == "slurm" else None
                    if cluster:
                        cluster.folder.mkdir()
                        cluster.start()
                    try:
                        rows.append(run(executor, cases, per_task, folder, cluster))
                    finally:
                        if cluster:
                            cluster.stop()
                print("| " + " | ".join(map(str, astuple(rows[-1]))) + " |", flush=True)
    if asked.out:
        with asked.out.open("w", newline="", encoding="utf-8") as stream:
            csv.writer(stream).writerows([names, *map(astuple, rows)])


if __name__ == "__main__":
    main()

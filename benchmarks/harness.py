"""How every benchmark measures: each figure in a process of its own, so that the peak memory is its own.

The peers of one job run one after the other. The first call is not counted (memory pools) where a second one is
affordable; the median of the following ones is printed, with the quartiles and the CPU time of all threads, which
other processes disturb less.
"""

from __future__ import annotations

import argparse
import csv
import ctypes
import gc
import itertools
import json
import math
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

SIZES = {"quarter": (60, 60, 39), "half": (120, 120, 78), "full": (240, 240, 155)}
ENOUGH_S, LEAST, MOST = 8.0, 4, 15  # seconds and repetitions that are enough; what takes longer is done once

Shape = tuple[int, int, int]
Step = Callable[[], object]
Jobs = dict[str, tuple[Callable[[str, Shape], Step], list[str]]]


def machine() -> str:
    """Cores, processor, threads, load and versions, in two lines."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    model = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "")
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    threads = os.environ.get("OMP_NUM_THREADS", f"{len(os.sched_getaffinity(0))} (all)")
    found = []
    for package in ("wssamnet", "torch", "numba", "voxelmorph", "neurite", "monai", "antspyx"):
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            found.append(f"no {package}")
    return (
        f"{platform.machine()} {model}, {os.cpu_count()} cores, threads {threads}, load average {load}\n"
        f"Python {platform.python_version()}, {', '.join(found)}"
    )


def memory_mib(field: str) -> float:
    """VmRSS or VmHWM of this process; NaN where there is no /proc."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith(field)), math.nan)


def measure(jobs: Jobs, small: Shape, job: str, who: str, size: str) -> dict[str, float]:
    """In the child: what one repetition costs beyond its inputs and its program code."""
    jobs[job][0](who, small)()
    step = jobs[job][0](who, SIZES[size])
    gc.collect()
    if platform.libc_ver()[0] == "glibc":
        ctypes.CDLL(None).malloc_trim(0)  # gives back what making the inputs took: else it would hide what a step takes
    if Path("/proc/self/clear_refs").exists():
        Path("/proc/self/clear_refs").write_text("5")  # forget the peak so far
    before = memory_mib("VmRSS")
    wall, cpu = [], []
    while len(wall) < MOST and (sum(wall) < ENOUGH_S or len(wall) < LEAST):
        start, start_cpu = time.perf_counter(), time.process_time()
        step()
        wall.append(time.perf_counter() - start)
        cpu.append(time.process_time() - start_cpu)
        if wall[0] > ENOUGH_S:
            break
    peak = memory_mib("VmHWM") - before
    counted = slice(1 if len(wall) > 1 else 0, None)
    ordered = sorted(wall[counted])
    return {
        "seconds": statistics.median(ordered),
        "lower": ordered[len(ordered) // 4],
        "upper": ordered[-1 - len(ordered) // 4],
        "cpu_seconds": statistics.median(cpu[counted]),
        "peak_mib": peak,
        "n": len(ordered),
    }


def main(description: str | None, script: str, jobs: Jobs, *, small: Shape, sizes: tuple[str, ...] = ()) -> None:
    """The command line of a benchmark.

    Args:
        description: its help.
        script: its file, which is called again for each measurement.
        jobs: name → (who, shape → a step to be repeated), who; ours first.
        small: shape of the call that imports and compiles everything.
        sizes: of `SIZES`; all when empty.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", nargs="+", choices=SIZES, default=list(sizes or SIZES))
    parser.add_argument("--only", nargs="+", choices=jobs, default=list(jobs))
    parser.add_argument("--out", type=Path, default=Path(script).with_suffix(".csv").name)
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        print(json.dumps(measure(jobs, small, *options.child)))
        return
    print(machine())
    heads = ("median s", "lower", "upper", "cpu s", "ratio", "MiB", "bigger", "n")
    print(f"{'job':22}{'size':9}{'who':30}" + "".join(f"{head:>9}" for head in heads))
    rows = []
    for job, size in itertools.product(options.only, options.size):
        ours: dict[str, float] = {}
        for who in jobs[job][1]:
            command = [sys.executable, script, "--child", job, who, size]
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode:
                why = (
                    done.stderr.strip().splitlines() or [f"exit status {done.returncode}; -9 is for want of memory"]
                )[-1]
                print(f"{job:22}{size:9}{who:30} failed: {why}", flush=True)
                continue
            found = json.loads(done.stdout.splitlines()[-1])
            ours = ours or found
            slower = found["seconds"] / ours["seconds"]
            bigger = found["peak_mib"] / max(ours["peak_mib"], 1)
            rows.append({"job": job, "size": size, "who": who, **found, "slower": slower, "bigger": bigger})
            figures = [f"{found[name]:9.4f}" for name in ("seconds", "lower", "upper", "cpu_seconds")]
            figures += [f"{slower:9.2f}", f"{found['peak_mib']:9.0f}", f"{bigger:9.1f}", f"{found['n']:9d}"]
            print(f"{job:22}{size:9}{who:30}" + "".join(figures), flush=True)
            if rows:
                _write(options.out, rows)


def _write(path: Path, rows: list[dict[str, object]]) -> None:
    """After every row, so that a run that is cut has not measured in vain."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    with Path(path).open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)

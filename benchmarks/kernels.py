"""Our kernels beside what others offer for the same job: seconds and memory, in one run.

    python benchmarks/kernels.py [--size quarter|half|full ...] [--only lncc ...] [--out kernels.csv]

Every measurement is a process of its own, so that the peak memory is its own; the peers of one job run one after
the other. The first call is not counted (memory pools) where a second one is affordable; the median of the following
ones is printed, with the CPU time of all threads, which other processes disturb less.
"""

from __future__ import annotations

import argparse
import csv
import functools
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
from pathlib import Path
from typing import Any

SIZES = {"quarter": (60, 60, 39), "half": (120, 120, 78), "full": (240, 240, 155)}
ENOUGH_S, MOST = 8.0, 15  # a measurement ends after so many seconds, or repetitions

Step = Callable[[], object]


def pair(shape: tuple[int, int, int]) -> tuple[Any, Any]:
    """Two textured ellipsoids on a background of 0, (1, 1, X, Y, Z); the second one wants its gradient."""
    import torch
    import torch.nn.functional as F

    torch.manual_seed(0)
    axes = torch.meshgrid(*[torch.linspace(-1, 1, n) for n in shape], indexing="ij")
    inside = sum(axis**2 for axis in axes) < 0.8
    coarse = torch.rand(2, 1, *[n // 5 + 1 for n in shape])
    texture = F.interpolate(coarse, size=shape, mode="trilinear") + 0.1 * torch.rand(2, 1, *shape)
    texture = texture / texture.max() * inside
    return texture[:1].clone(), texture[1:].clone().requires_grad_()


def displacement(shape: tuple[int, int, int]) -> Any:
    """(1, 3, X, Y, Z): smooth, up to some voxels."""
    import torch
    import torch.nn.functional as F

    torch.manual_seed(1)
    return (3 * F.interpolate(torch.randn(1, 3, 8, 8, 6), size=shape, mode="trilinear")).requires_grad_()


def backwards(loss: Callable[[Any, Any], Any], shape: tuple[int, int, int]) -> Step:
    """Value and gradient with respect to the second image."""
    import torch

    fixed, moving = pair(shape)
    return lambda: torch.autograd.grad(loss(fixed, moving).sum(), moving)


def lncc(who: str, shape: tuple[int, int, int]) -> Step:
    if who == "wssamnet":
        from wssamnet.losses import lncc as loss

        return backwards(loss, shape)
    if who == "neurite (VoxelMorph)":
        from neurite.nn.modules import NCC

        return backwards(NCC(9), shape)
    from monai.losses import LocalNormalizedCrossCorrelationLoss

    return backwards(LocalNormalizedCrossCorrelationLoss(spatial_dims=3, kernel_size=9), shape)


def mutual_information(who: str, shape: tuple[int, int, int]) -> Step:
    if who == "wssamnet":
        from wssamnet.losses import mutual_information as loss

        return backwards(loss, shape)
    from monai.losses import GlobalMutualInformationLoss

    return backwards(GlobalMutualInformationLoss(num_bins=32), shape)


def laplacian_of_gaussian(who: str, shape: tuple[int, int, int]) -> Step:
    if who == "scipy, no gradient":
        from scipy.ndimage import gaussian_laplace

        image = pair(shape)[0].numpy()[0, 0]
        return lambda: gaussian_laplace(image, 1.5, mode="constant")
    if who == "wssamnet":
        from wssamnet.losses import laplacian_of_gaussian as filtered

        return backwards(lambda _, b: filtered(b, sigma=1.5), shape)
    from wssamnet.losses.laplacian_of_gaussian import log_kernels, log_reference

    return backwards(lambda _, b: log_reference(b, [log_kernels(1.5)] * 3), shape)


def warp(who: str, shape: tuple[int, int, int]) -> Step:
    """Forward and gradient to the displacement."""
    import torch

    image, u = pair(shape)[0], displacement(shape)
    if who == "wssamnet":
        from wssamnet.kernels.warping import gradient_to_displacement
        from wssamnet.kernels.warping import warp as warped

        moving, field = image.numpy()[0], u.detach().numpy()[0]
        return lambda: gradient_to_displacement(moving, field, warped(moving, field))
    if who == "torch grid_sample":
        import torch.nn.functional as F

        axes = torch.meshgrid(*[torch.arange(float(n)) for n in shape], indexing="ij")

        def sampled() -> Any:
            points = [2 * (axes[a] + u[:, a]) / (shape[a] - 1) - 1 for a in (2, 1, 0)]
            return F.grid_sample(image, torch.stack(points, dim=-1), align_corners=True)
    else:
        from voxelmorph.nn.functional import spatial_transform

        sampled = functools.partial(spatial_transform, image, u)

    return lambda: torch.autograd.grad(sampled().sum(), u)


def smoothness(who: str, shape: tuple[int, int, int]) -> Step:
    u = displacement(shape)
    if who == "wssamnet":
        from wssamnet.losses import smoothness as penalty
    else:
        from neurite.nn.modules import SpatialGradient

        penalty = SpatialGradient("l2")
    import torch

    return lambda: torch.autograd.grad(penalty(u).sum(), u)


def gaussian(who: str, shape: tuple[int, int, int]) -> Step:
    field = displacement(shape).detach()[0].permute(1, 2, 3, 0).contiguous().numpy()
    if who == "wssamnet":
        from wssamnet.kernels.smoothing import gaussian as smoothed

        return lambda: smoothed(field, 2.0)
    from scipy.ndimage import gaussian_filter

    return lambda: gaussian_filter(field, (2, 2, 2, 0))


def jacobian(who: str, shape: tuple[int, int, int]) -> Step:
    import numpy as np

    field = displacement(shape).detach()[0].permute(1, 2, 3, 0).contiguous().numpy()
    if who == "wssamnet":
        from wssamnet.kernels.jacobian import determinant

        return lambda: determinant(field, np.eye(3))
    return lambda: np.linalg.det(np.stack(np.gradient(field, axis=(0, 1, 2)), axis=-1) + np.eye(3, dtype=np.float32))


JOBS: dict[str, tuple[Callable[[str, tuple[int, int, int]], Step], list[str]]] = {
    "lncc": (lncc, ["wssamnet", "neurite (VoxelMorph)", "monai"]),
    "mutual_information": (mutual_information, ["wssamnet", "monai"]),
    "laplacian_of_gaussian": (laplacian_of_gaussian, ["wssamnet", "plain torch", "scipy, no gradient"]),
    "warp": (warp, ["wssamnet", "torch grid_sample", "voxelmorph"]),
    "smoothness": (smoothness, ["wssamnet", "neurite (VoxelMorph)"]),
    "gaussian": (gaussian, ["wssamnet", "scipy"]),
    "jacobian": (jacobian, ["wssamnet", "numpy"]),
}


def memory_mib(field: str) -> float:
    """VmRSS or VmHWM of this process; NaN where there is no /proc."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith(field)), math.nan)


def measure(job: str, who: str, size: str) -> dict[str, float]:
    """In the child: what one repetition costs beyond its inputs and its program code."""
    JOBS[job][0](who, (16, 16, 16))()
    step = JOBS[job][0](who, SIZES[size])
    if Path("/proc/self/clear_refs").exists():
        Path("/proc/self/clear_refs").write_text("5")  # forget the peak so far
    before = memory_mib("VmRSS")
    wall, cpu = [], []
    while len(wall) < MOST and (sum(wall) < ENOUGH_S or len(wall) < 2):
        start, start_cpu = time.perf_counter(), time.process_time()
        step()
        wall.append(time.perf_counter() - start)
        cpu.append(time.process_time() - start_cpu)
        if wall[0] > ENOUGH_S:
            break
    peak = memory_mib("VmHWM") - before
    counted = slice(1 if len(wall) > 1 else 0, None)
    return {
        "seconds": statistics.median(wall[counted]),
        "fastest": min(wall),
        "cpu_seconds": statistics.median(cpu[counted]),
        "peak_mib": peak,
        "n": len(wall[counted]),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", nargs="+", choices=SIZES, default=["quarter", "half", "full"])
    parser.add_argument("--only", nargs="+", choices=JOBS, default=list(JOBS))
    parser.add_argument("--out", type=Path, default=Path("kernels.csv"))
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        print(json.dumps(measure(*options.child)))
        return
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    print(f"{platform.machine()}, {os.cpu_count()} cores, load average {load} (measure on a quiet machine)")
    heads = ("median s", "fastest", "cpu s", "slower", "MiB", "bigger", "n")
    print(f"{'job':22}{'size':9}{'who':22}" + "".join(f"{head:>9}" for head in heads))
    rows = []
    for job, size in itertools.product(options.only, options.size):
        ours: dict[str, float] = {}
        for who in JOBS[job][1]:
            command = [sys.executable, __file__, "--child", job, who, size]
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode:
                print(f"{job:22}{size:9}{who:22} failed: {done.stderr.strip().splitlines()[-1:]}")
                continue
            found = json.loads(done.stdout.splitlines()[-1])
            ours = ours or found
            slower = found["seconds"] / ours["seconds"]
            bigger = found["peak_mib"] / max(ours["peak_mib"], 1)
            rows.append({"job": job, "size": size, "who": who, **found, "slower": slower, "bigger": bigger})
            figures = [f"{found[name]:9.4f}" for name in ("seconds", "fastest", "cpu_seconds")]
            figures += [f"{slower:9.1f}", f"{found['peak_mib']:9.0f}", f"{bigger:9.1f}", f"{found['n']:9d}"]
            print(f"{job:22}{size:9}{who:22}" + "".join(figures), flush=True)
    with options.out.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()

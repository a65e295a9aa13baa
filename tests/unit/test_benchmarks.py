"""The scripts of benchmarks/ that the documents' figures come from and that nothing else starts."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import SimpleITK as sitk
from wssamnet.simulation.cohort import write_cohort

from documents import ROOT


@pytest.fixture(scope="module")
def unseen() -> ModuleType:
    spec = importlib.util.spec_from_file_location("unseen", ROOT / "benchmarks" / "unseen.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["unseen"] = module  # where its dataclass looks itself up
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(("axis", "component"), [(0, 2), (1, 1), (2, 0), (0, 0), (2, 2)])
def test_an_elastic_solid_gives_way_to_a_wave_of_forces(unseen: ModuleType, axis: int, component: int) -> None:
    """Array axes are Z, Y, X and components X, Y, Z: along its direction the solid hardly gives way, across it does."""
    shape = (12, 16, 20)
    phase = 2 * np.pi * 2 * np.arange(shape[axis]) / shape[axis]
    force = np.zeros((*shape, 3))
    force[..., component] += np.cos(phase).reshape([-1 if a == axis else 1 for a in range(3)])
    stiffer = (1 - 2 * 0.45) / (2 - 2 * 0.45) if component == 2 - axis else 1  # mu / (lambda + 2 mu)
    np.testing.assert_allclose(unseen._solid(force), force * stiffer / (2 / shape[axis]) ** 2, atol=1e-9)


def test_a_brain_is_found_in_a_head(unseen: ModuleType) -> None:
    z, y, x = np.meshgrid(*(2.0 * np.arange(n) for n in (80, 90, 80)), indexing="ij")
    away = np.sqrt((z - 80) ** 2 + (y - 90) ** 2 + (x - 80) ** 2)
    head = np.where(away < 55, 100.0, 0) + np.where((away > 64) & (away < 72), 110.0, 0)
    head[40, 45, :] = np.where(x[40, 45] < 150, np.maximum(head[40, 45], 90), 0)  # a vessel through the skull
    image = sitk.GetImageFromArray(head)
    image.SetSpacing((2, 2, 2))
    found = sitk.GetArrayFromImage(unseen._brain(image)) > 0
    assert (found ^ (away < 55)).sum() < 0.02 * (away < 55).sum()


def test_the_sensitivity_of_a_cohort_with_lesions_is_written(tmp_path: Path) -> None:
    write_cohort(tmp_path / "cohort", cases=1, spacing_mm=6.0, seed=3)

    def call(*words: object) -> None:
        command = [sys.executable, *map(str, words)]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=600, check=False)
        assert done.returncode == 0, done.stderr

    tool = ("-m", "wssamnet.cli", "--threads", 1)
    call(*tool, "check", "cohort", "--out", "check", "--no-training")
    call(*tool, "preprocess", *(tmp_path / "check" / "cases").glob("*.json"), "--out", "prepared")
    call(ROOT / "benchmarks" / "sensitivity.py", "cohort", "prepared", "--out", "sensitivity.csv")
    rows = [line.split(",") for line in (tmp_path / "sensitivity.csv").read_text(encoding="utf-8").splitlines()]
    assert rows[0][0] == "parameter"
    assert {row[0] for row in rows} >= {"as it is", "both_ways", "windows", "step", "lesion"}
    assert all(row[-1] == "1" for row in rows[1:])

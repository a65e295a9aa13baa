"""The image built from the recipe, looked into, and the whole pipeline run in it: minutes and gigabytes."""

from __future__ import annotations

import csv
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import image as images
import numpy as np
import pytest
from image import ROOT, Image
from wssamnet import __version__
from wssamnet.images import Volume, read_image, write_image
from wssamnet.landmarks import Landmarks, read_landmarks
from wssamnet.simulation import write_cohort

pytestmark = [pytest.mark.pipeline, pytest.mark.timeout(5400)]

REVISION = "0123456789abcdef"
COPIED = ("main.nf", "nextflow.config", "nextflow_schema.json", "conf", "modules", "bin", "wssamnet")
METHODS = {"identity", "affine", "ants", "voxelmorph", "wssamnet", "refinement", "wssamnet_refined"}


@pytest.fixture(scope="session")
def base() -> Iterator[None]:
    """The smallest Debian to build on; all images are removed at the end."""
    reason = images.obstacle()
    if reason is not None:
        pytest.skip(f"no image can be built here: {reason}")
    images.make_base()
    yield
    images.remove()


@pytest.fixture(scope="session")
def image(base: None) -> Image:
    """The recipe, built with its defaults."""
    images.build(images.NAME, REVISION=REVISION)
    return Image.mount()


def test_charliecloud_takes_an_image_from_podman(base: None, tmp_path: Path) -> None:
    """The command of docs/cluster.md, for the small image that ours is built on."""
    text = (ROOT / "docs" / "cluster.md").read_text(encoding="utf-8")
    (line,) = re.findall(r"^(ch-convert .*?) +#", text, re.MULTILINE)
    words = {"wssamnet:latest": images.BASE, "/shared/wssamnet": str(tmp_path / "image")}
    images.call(*(words.get(word, word) for word in line.split()), seconds=600)
    assert (tmp_path / "image" / "etc" / "debian_version").is_file()


def labels(image: Image) -> dict[str, Any]:
    return image.configuration()["Labels"]  # type: ignore[return-value]


def test_a_device_that_the_index_cannot_serve_is_refused(base: None) -> None:
    with pytest.raises(RuntimeError, match="DEVICE=cpu also needs TORCH_INDEX"):
        images.build("localhost/wssamnet:refused", DEVICE="cpu", seconds=300)
    with pytest.raises(RuntimeError, match="DEVICE is 'gpu'; right would be cuda or cpu"):
        images.build("localhost/wssamnet:refused", DEVICE="gpu", seconds=300)


def test_the_labels_say_what_is_inside(image: Image) -> None:
    told = labels(image)
    assert told["org.opencontainers.image.version"] == __version__
    assert told["org.opencontainers.image.revision"] == REVISION
    assert told["wssamnet.device"] == "cuda"
    assert f"wssamnet {__version__}, " in image.run("wssamnet --version")


def test_tasks_are_not_root_and_can_be_measured(image: Image) -> None:
    assert image.run("id -u").strip() != "0"
    assert "PID" in image.run("ps -e -o pid")


def test_nothing_of_the_build_machine_stays(image: Image) -> None:
    for path in ("src", "root/.cache/pip"):
        assert not (image.folder / path).exists()
    assert list((image.folder / "tmp").glob("pip-*")) == []
    pip = image.folder / "etc" / "pip.conf"  # buildah leaves an empty file where one was mounted
    assert not pip.exists() or pip.stat().st_size == 0


def compiled(*folders: Path) -> list[str]:
    """Names and sizes of the compiled kernels."""
    return sorted(f"{path.name} {path.stat().st_size}" for folder in folders for path in folder.rglob("*.nbc"))


def test_kernels_are_compiled_already(image: Image) -> None:
    before = compiled(image.folder / "opt" / "numba-cache")
    assert len(before) > 20
    image.run("wssamnet compile")
    assert compiled(image.folder / "opt" / "numba-cache") == before


def test_a_read_only_image_needs_no_compiler_either(image: Image, tmp_path: Path) -> None:
    assert "Read-only" in image.run_read_only("touch /opt/numba-cache/x 2>&1 || true")
    image.run_read_only("TMPDIR=/scratch/of/the/host wssamnet --version")
    image.run_read_only(f"TMPDIR={tmp_path} wssamnet compile")
    assert compiled(*tmp_path.glob("wssamnet-kernels-*")) == compiled(image.folder / "opt" / "numba-cache")


@pytest.fixture
def hidden_case(tmp_path: Path) -> tuple[Landmarks, Landmarks]:
    """A folder ``cases`` as the challenge's hidden test has it, and ``labels.nii.gz``; landmarks, baseline's first."""
    folder = write_cohort(tmp_path / "cases", cases=1, spacing_mm=6, seed=3) / "BraTSReg_001"
    shutil.rmtree(tmp_path / "cases" / "truth")
    paths = [next(folder.glob(f"*_{visit}_*_landmarks.csv")) for visit in ("00", "01")]
    baseline, followup = map(read_landmarks, paths)
    paths[0].unlink()
    scan = read_image(next(folder.glob("*_01_*_t1ce.nii.gz")))
    write_image(tmp_path / "labels.nii.gz", Volume((scan.data > 0).astype(np.uint8) * 7, scan.grid))
    (tmp_path / "out").mkdir()
    return baseline, followup


@pytest.mark.parametrize("engine", ["docker", "apptainer"])
def test_it_keeps_the_challenges_contract(
    image: Image, engine: str, tmp_path: Path, hidden_case: tuple[Landmarks, Landmarks]
) -> None:
    """The commands of docs/one-pair.md; Charliecloud's read-only image in the place of Apptainer's."""
    text = (ROOT / "docs" / "one-pair.md").read_text(encoding="utf-8")
    lines = re.findall(rf"^{engine} .*$", text, re.MULTILINE)
    assert ["generate_output" in line for line in lines] == [True, False]
    for line in lines:
        if engine == "docker":
            image.run_as_docker(line, tmp_path)
        else:
            words = line.removeprefix("apptainer exec wssamnet.sif ")
            image.run_read_only(f"cd '{tmp_path}'; TMPDIR='{tmp_path}' {words}")
    names = [f"{name}_f2b.nii.gz" for name in ("df", "t1", "t1ce", "t2", "flair")] + ["df_b2f.nii.gz", "detj.nii.gz"]
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "BraTSReg_001.csv",
        *(f"BraTSReg_001_{name}" for name in names),
    }
    baseline, followup = (landmarks.points for landmarks in hidden_case)
    found = read_landmarks(tmp_path / "out" / "BraTSReg_001.csv").points
    assert np.linalg.norm(found - baseline, axis=1).mean() < np.linalg.norm(followup - baseline, axis=1).mean()
    labels = read_image(tmp_path / "labels_on_baseline.nii.gz")
    assert set(np.unique(labels.data)) == {0, 7}
    assert labels.grid == read_image(next((tmp_path / "cases").rglob("*_00_0000_t1ce.nii.gz"))).grid


def test_the_pipeline_runs_in_it(image: Image, tmp_path: Path) -> None:
    checkout = tmp_path / "checkout"  # without an environment: what a task runs can only be the image's
    checkout.mkdir()
    for name in COPIED:
        source = ROOT / name
        (shutil.copytree if source.is_dir() else shutil.copy2)(source, checkout / name)
    program = shutil.which("nextflow") or str(ROOT / ".venv" / "bin" / "nextflow")
    words = ("-profile", "test,charliecloud", "--container", str(image.folder), "--outdir", "out")
    environment = {**os.environ, "NXF_ANSI_LOG": "false", "USER": os.environ.get("USER", "root")}
    log = tmp_path / "log"
    with log.open("wb") as stream:
        done = subprocess.run(
            [program, "run", str(checkout / "main.nf"), *words],
            cwd=tmp_path,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
            timeout=2400,
            check=False,
        )
    said = log.read_text(encoding="utf-8")
    print(said)
    assert done.returncode == 0, said[-4000:]
    table = (tmp_path / "out" / "tables" / "table1.md").read_text(encoding="utf-8").strip()
    assert table in said
    assert {path.name for path in (tmp_path / "out" / "registration").iterdir()} == METHODS
    with (tmp_path / "out" / "pipeline_info" / "trace.txt").open(encoding="utf-8") as rows:
        tasks = list(csv.DictReader(rows, delimiter="\t"))
    assert {task["status"] for task in tasks} == {"COMPLETED"}
    for task in tasks:
        assert "ch-run" in (Path(task["workdir"]) / ".command.run").read_text(encoding="utf-8"), task["process"]
        assert task["peak_rss"] != "-", "ps of the image measured nothing"
    inside = re.search(r"python (\S+), torch", image.run("wssamnet --version"))
    assert inside is not None
    versions = (tmp_path / "out" / "pipeline_info" / "versions.txt").read_text(encoding="utf-8")
    assert set(re.findall(r"python ([^,]+),", versions)) == {inside.group(1)}

"""What docs/one-pair.md tells to run, runs as it stands there; the commands of README.md and conventions.md too."""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ants.internal import get_lib_fn
from pair_samples import MadePair
from wssamnet.fields import resample
from wssamnet.images import Volume, read_image, write_image
from wssamnet.landmarks import read_landmarks
from wssamnet.models.persistence import build_model, save_model
from wssamnet.settings import make_settings

from documents import ROOT, lines

PAGE = ROOT / "docs" / "one-pair.md"
TEXT = PAGE.read_text(encoding="utf-8")


def test_the_how_to_runs(
    made_pair: MadePair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: Callable[..., tuple[int, list[str]]]
) -> None:
    monkeypatch.chdir(tmp_path)
    fixed, moving = (read_image(path) for path in (made_pair.fixed, made_pair.moving))
    fixed, moving = (resample(image, image.grid.resampled(6)) for image in (fixed, moving))  # coarse: it is quick
    write_image("before.nii.gz", fixed)
    write_image("after.nii.gz", moving)
    write_image("after_seg.nii.gz", Volume((moving.data > 0).astype(np.uint8) * 7, moving.grid))
    Path("after.csv").write_text(made_pair.landmarks.read_text())
    Path("new.csv").write_text("case,fixed_t1ce,moving_t1ce\np01,before.nii.gz,after.nii.gz\n")
    settings = make_settings("best", {"features": 2})
    save_model(
        "OUT/models/fold1/wssamnet",
        build_model("wssamnet", settings, 1),
        kind="wssamnet",
        settings=settings,
        channels=1,
    )
    told = dict.fromkeys([*lines(PAGE, "wssamnet"), *lines(ROOT / "README.md", "wssamnet")])
    assert len(told) == 7
    for line in told:
        words = shlex.split(line)[1:]
        status, said = command(*words, *(["--refinement", "fast"] if words[0] == "register" else []))
        assert status == 0, said
    assert Path("seg.nii.gz").is_file()
    assert Path("registration/wssamnet_refined/p01/warped.nii.gz").is_file()
    assert Path("after_on_before.csv").is_file()
    assert set(np.unique(read_image("seg_on_before.nii.gz").data)) == {0, 7}
    assert {path.name for path in Path("result").iterdir()} == set(re.findall(r"^\| `([a-z_.]+)`", TEXT, re.MULTILINE))

    _ants_agrees()

    names: dict[str, Any] = {}
    code = re.findall(r"^```python\n(.*?)^```", TEXT, flags=re.MULTILINE | re.DOTALL)
    exec(code[0].replace('landmarks="after.csv")', 'landmarks="after.csv", refinement="fast")'), names)
    assert names["seg"].data.dtype == np.uint8
    assert names["points"].shape == (1, 3)


def _ants_agrees() -> None:
    """ANTs's own programs, by the commands of docs/conventions.md: the same image, the same points."""
    for name, source in (("fixed.nii.gz", "before.nii.gz"), ("moving.nii.gz", "after.nii.gz")):
        shutil.copy(source, name)
    for name in ("fixed_to_moving.nii.gz", "moving_to_fixed.nii.gz"):
        shutil.copy(Path("result") / name, name)
    points = read_landmarks("after.csv").points
    rows = [",".join(map(str, (*point, 0))) for point in points]
    Path("moving_points.csv").write_text("\n".join(("x,y,z,t", *rows, "")))
    told = lines(ROOT / "docs" / "conventions.md", "antsApplyTransforms")
    assert len(told) == 2
    for line in told:
        program, *words = shlex.split(line)
        get_lib_fn(program)(words)
    ours, theirs = (read_image(path).data for path in ("result/warped.nii.gz", "warped.nii.gz"))
    inside = ours > 0.1 * ours.max()
    assert np.abs(ours - theirs)[inside].mean() < 0.01 * ours.max()
    there = np.loadtxt("fixed_points.csv", delimiter=",", skiprows=1)[:, :3]
    np.testing.assert_allclose(there, read_landmarks("result/landmarks.csv").points, atol=0.2)

"""The commands and the Python of docs/one-pair.md run as they stand there."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pair_samples import MadePair
from wssamnet.fields import resample
from wssamnet.images import Volume, read_image, write_image

TEXT = (Path(__file__).parents[3] / "docs" / "one-pair.md").read_text(encoding="utf-8")


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
    lines = re.findall(r"^wssamnet (.*)$", TEXT, flags=re.MULTILINE)
    assert len(lines) == 3
    for line in lines:
        status, said = command(*shlex.split(line), *(["--refinement", "fast"] if line.startswith("register") else []))
        assert status == 0, said
    assert Path("after_on_before.csv").is_file()
    assert set(np.unique(read_image("seg_on_before.nii.gz").data)) == {0, 7}
    assert {path.name for path in Path("result").iterdir()} == set(re.findall(r"^\| `([a-z_.]+)`", TEXT, re.MULTILINE))

    names: dict[str, Any] = {}
    code = re.findall(r"^```python\n(.*?)^```", TEXT, flags=re.MULTILINE | re.DOTALL)
    exec(code[0].replace('landmarks="after.csv")', 'landmarks="after.csv", refinement="fast")'), names)
    assert names["seg"].data.dtype == np.uint8
    assert names["points"].shape == (1, 3)

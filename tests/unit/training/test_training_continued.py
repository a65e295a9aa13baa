"""A stage that is called again goes on, through the command line, unless something that decides it has changed."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from wssamnet.cli.app import run
from wssamnet.preprocessing.prepared import PreparedCase
from wssamnet.settings import make_settings
from wssamnet.training.dataset import open_training_set
from wssamnet.training.identity import training_identity

Make = Callable[..., PreparedCase]
SHORT = ("voxelmorph_steps=3", "features=4", "levels=2")


def called(monkeypatch: pytest.MonkeyPatch, case: Path, out: Path, *words: str) -> int:
    """Exit status of ``wssamnet train-voxelmorph``."""
    settings = [word for assignment in SHORT for word in ("--set", assignment)]
    monkeypatch.setattr(sys, "argv", ["wssamnet", "train-voxelmorph", str(case), "--out", str(out), *settings, *words])
    with pytest.raises(SystemExit) as ended:
        run()
    return int(ended.value.code or 0)


def test_a_stage_asks_to_be_called_again_until_it_is_done(
    make_prepared: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    case = make_prepared("case_0", shape=(16, 16, 16)).folder
    assert called(monkeypatch, case, tmp_path / "whole") == 0
    monkeypatch.setenv("WSSAMNET_CHECKPOINT_DIR", str(tmp_path / "kept"))
    statuses = [called(monkeypatch, case, tmp_path / "cut", "--time-limit", "0") for _ in range(3)]
    assert statuses == [85, 85, 0]
    told = capsys.readouterr().err
    assert f"wssamnet: the wall time is nearly used up after step 1 of 3; saved in {tmp_path}/kept/voxelmorph-" in told
    assert "voxelmorph: goes on after step 2 of 3" in told
    for name in ("model.safetensors", "losses.csv"):
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    records = [json.loads((tmp_path / name / "training.json").read_text()) for name in ("cut", "whole")]
    assert records[0]["steps"] == records[1]["steps"] == 3


def test_content_decides_what_a_training_is_and_its_place_does_not(make_prepared: Make, tmp_path: Path) -> None:
    settings = make_settings()
    folders = [make_prepared(f"case_{n}", seed=n, shape=(16, 16, 16)).folder for n in range(2)]
    model = tmp_path / "model"
    model.mkdir()
    (model / "model.safetensors").write_bytes(b"weights")

    def identity() -> list[object]:
        return training_identity(open_training_set(folders[::-1], settings), ("fixed", "moving"), [model])

    first = identity()
    assert first == identity()
    assert json.loads(json.dumps(first)) == first
    moving = np.load(folders[1] / "moving.npy")
    moving[0, 8, 8, 8] += 1
    np.save(folders[1] / "moving.npy", moving)
    second = identity()
    assert [row[0] != row[1] for row in zip(first, second, strict=True)] == [True, False, False, False]
    (model / "model.safetensors").write_bytes(b"other weights")
    assert [row[0] != row[1] for row in zip(second, identity(), strict=True)] == [False, False, True, False]

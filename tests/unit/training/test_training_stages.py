"""The stages on small prepared cases: they learn, repeat themselves, resume, and refuse what does not fit."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from training_samples import folders, small
from wssamnet.errors import CohortError, ModelError, WssamnetError
from wssamnet.landmarks import read_landmarks
from wssamnet.models.persistence import build_model, load_model
from wssamnet.models.placement import Placement
from wssamnet.models.predict import predict
from wssamnet.preprocessing.prepared import PreparedCase
from wssamnet.registration.network import Network
from wssamnet.training import pretrain, train_registration, train_segmentation, train_voxelmorph
from wssamnet.training.dataset import open_training_set
from wssamnet.training.registration import FrozenSegmentation

Make = Callable[..., PreparedCase]


def losses(folder: Path) -> list[dict[str, float]]:
    with (folder / "losses.csv").open(encoding="utf-8") as file:
        return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]


@pytest.fixture(autouse=True)
def one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


@pytest.mark.parametrize("stage2", ["end_to_end", "frozen"])
def test_every_stage_leaves_its_folder_and_feeds_the_next(make_prepared: Make, tmp_path: Path, stage2: str) -> None:
    cases = folders(make_prepared, shape=(20, 24, 18))
    settings = small(stage2=stage2)
    pair = (
        train_segmentation("fixed", cases, settings, tmp_path / "sf"),
        train_segmentation("moving", cases, settings, tmp_path / "sm"),
    )
    start = pretrain(cases, pair, settings, tmp_path / "pre")
    final = train_registration(cases, pair, start, settings, tmp_path / "reg")
    for folder in (*pair, start, final):
        names = {path.name for path in folder.iterdir()}
        assert names == {"model.safetensors", "settings.json", "losses.csv", "losses.png", "training.json"}
    record = json.loads((final / "training.json").read_text())
    assert record["cases"] == ["case_0", "case_1"]
    assert record["threads"] == 1
    assert record["shape"] == [18, 22, 16]
    assert record["pretrained"] is True
    assert ("focal_fixed" in record["final_losses"]) == (stage2 == "end_to_end")
    before, after = load_model(pair[0]).state_dict(), load_model(final, "wssamnet").segmentation_fixed.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before) == (stage2 == "frozen")
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_only_the_same_stages_former_result_is_replaced(make_prepared: Make, tmp_path: Path) -> None:
    cases = folders(make_prepared, shape=(16, 20, 16))
    out = train_segmentation("fixed", cases, small(), tmp_path / "models")
    with pytest.raises(WssamnetError, match="models: holds files that are no former result of this command"):
        train_segmentation("moving", cases, small(), out)
    other = train_segmentation("fixed", cases, small(seed=1), out)
    assert json.loads((other / "training.json").read_text())["seed"] == 1
    (out / "notes.txt").write_text("mine")
    with pytest.raises(WssamnetError, match=r"no former result of this command: notes\.txt \(another --out\)"):
        train_segmentation("fixed", cases, small(), out)


def test_the_same_training_twice_gives_the_same_numbers(make_prepared: Make, tmp_path: Path) -> None:
    cases = folders(make_prepared, shape=(20, 20, 20))
    settings = small(registration_steps=10)
    pair = (
        train_segmentation("fixed", cases, settings, tmp_path / "sf"),
        train_segmentation("moving", cases, settings, tmp_path / "sm"),
    )
    first = train_registration(cases, pair, None, settings, tmp_path / "first")
    second = train_registration(cases[::-1], pair, None, settings, tmp_path / "second")
    other = train_registration(cases, pair, None, small(registration_steps=10, seed=1), tmp_path / "other")
    for name in ("losses.csv", "model.safetensors"):
        assert (first / name).read_bytes() == (second / name).read_bytes()
        assert (first / name).read_bytes() != (other / name).read_bytes()


@pytest.mark.skipif(torch.cuda.is_available(), reason="to the last bit only where the CPU stands for all three")
@pytest.mark.parametrize("stage2", ["end_to_end", "frozen"])
def test_a_device_for_each_u_net_changes_no_number(make_prepared: Make, tmp_path: Path, stage2: str) -> None:
    cases = folders(make_prepared, shape=(16, 20, 16))
    settings = small(stage2=stage2, mi_weight=0.5)
    both = tuple(train_segmentation(side, cases, settings, tmp_path / side) for side in ("fixed", "moving"))
    three = Placement.three()
    for name, placement in (("one", None), ("three", three)):
        pretrain(cases, both, settings, tmp_path / f"pre_{name}", placement=placement)
        train_registration(cases, both, tmp_path / "pre_one", settings, tmp_path / f"reg_{name}", placement=placement)
    for stage in ("pre", "reg"):
        for file in ("losses.csv", "model.safetensors"):
            assert (tmp_path / f"{stage}_one" / file).read_bytes() == (tmp_path / f"{stage}_three" / file).read_bytes()


def landmark_error(case: PreparedCase, displacement: np.ndarray) -> tuple[float, float]:
    """Mean error at the fixed landmarks in voxels, before and after."""
    moving = case.moving_landmarks()
    assert moving is not None
    to_voxels = np.linalg.inv(case.grid.lps_affine)
    fixed = read_landmarks(case.folder / "truth.csv").points @ to_voxels[:3, :3].T + to_voxels[:3, 3]
    moved = moving.points @ to_voxels[:3, :3].T + to_voxels[:3, 3]
    i, j, k = np.rint(fixed).astype(int).T
    found = fixed + displacement[i, j, k]
    return float(np.linalg.norm(fixed - moved, axis=1).mean()), float(np.linalg.norm(found - moved, axis=1).mean())


def test_registration_training_lowers_the_loss_and_the_landmark_error(make_prepared: Make, tmp_path: Path) -> None:
    case = make_prepared("one", shape=(28, 28, 28), amplitude=3.0, landmarks=20)
    settings = small(features=8, registration_steps=30)
    pair = (
        train_segmentation("fixed", [case.folder], settings, tmp_path / "sf"),
        train_segmentation("moving", [case.folder], settings, tmp_path / "sm"),
    )
    out = train_registration([case.folder], pair, None, settings, tmp_path / "out")
    rows = losses(out)
    assert rows[-1]["lncc"] < rows[0]["lncc"] - 0.1
    field = predict(load_model(out, "wssamnet"), case.array("fixed"), case.array("moving"))
    before, after = landmark_error(case, field)
    assert after < 0.7 * before


def test_a_training_at_the_networks_voxels_registers_at_the_working_ones(make_prepared: Make, tmp_path: Path) -> None:
    case = make_prepared("one", shape=(40, 43, 41), amplitude=5.0, landmarks=20)
    settings = small(features=8, registration_steps=30, network_spacing_mm=6, stage2="end_to_end")
    pair = (
        train_segmentation("fixed", [case.folder], settings, tmp_path / "sf"),
        train_segmentation("moving", [case.folder], settings, tmp_path / "sm"),
    )
    start = pretrain([case.folder], pair, settings, tmp_path / "pre")
    out = train_registration([case.folder], pair, start, settings, tmp_path / "out")
    record = json.loads((out / "training.json").read_text())
    assert record["spacing_mm"] == pytest.approx([6, 6, 6])
    assert record["shape"] == [22, 24, 24]  # of 27 x 29 x 27, less what is not brain
    field = Network(out, "wssamnet").predict(case)
    assert field.shape == (40, 43, 41, 3)
    before, after = landmark_error(case, field)
    assert after < 0.7 * before


@pytest.mark.parametrize(("term", "landmarks"), [("landmark", 20), ("overlap", 4)])
def test_landmarks_alone_can_teach_the_registration(
    make_prepared: Make, tmp_path: Path, term: str, landmarks: int
) -> None:
    case = make_prepared("one", shape=(28, 28, 28), amplitude=7.0, landmarks=landmarks)
    alone = {"attention": "none", "lncc_weight": 0, "smoothness_weight": 0.03, "pyramid": True, f"{term}_weight": 1}
    settings = small(features=8, levels=3, registration_steps=30, **alone)
    pair = (
        train_segmentation("fixed", [case.folder], settings, tmp_path / "sf"),
        train_segmentation("moving", [case.folder], settings, tmp_path / "sm"),
    )
    out = train_registration([case.folder], pair, None, settings, tmp_path / "out")
    rows = losses(out)
    (name,) = set(rows[0]) - {"step", "lr", "total", "smoothness"}
    assert rows[-1][name] < 0.6 * rows[0][name]
    field = predict(load_model(out, "wssamnet"), case.array("fixed"), case.array("moving"))
    before, after = landmark_error(case, field)
    assert after < 0.7 * before
    if term == "landmark":
        assert rows[0][name] == pytest.approx(4 * before, rel=0.02)  # mm, of voxels of 4 mm


def test_voxelmorph_training_lowers_the_loss_and_the_landmark_error(make_prepared: Make, tmp_path: Path) -> None:
    case = make_prepared("one", shape=(28, 28, 28), amplitude=3.0, landmarks=20)
    settings = small(voxelmorph_steps=25, voxelmorph_lr=1e-3, voxelmorph_integration=0)
    out = train_voxelmorph([case.folder], settings, tmp_path / "out")
    rows = losses(out)
    assert rows[-1]["total"] < rows[0]["total"] - 0.02
    field = predict(load_model(out, "voxelmorph"), case.array("fixed"), case.array("moving"))
    before, after = landmark_error(case, field)
    assert after < 0.95 * before


def test_segmentation_learns_where_the_landmarks_are(make_prepared: Make, tmp_path: Path) -> None:
    case = make_prepared("one", shape=(24, 24, 24))
    settings = small(segmentation_steps=30)
    rows = losses(train_segmentation("moving", [case.folder], settings, tmp_path / "out"))
    assert rows[-1]["focal"] < 0.5 * rows[0]["focal"]


def test_remembered_segmentations_are_those_the_network_would_give(make_prepared: Make) -> None:
    settings = small()
    model = build_model("wssamnet", settings, 1).eval()
    made = [make_prepared(f"case_{n}", seed=n, shape=(16, 20, 16 + 8 * n)).folder for n in range(3)]
    cases = open_training_set(made, settings)
    frozen = FrozenSegmentation(model)  # type: ignore[arg-type]
    for picks in ([0, 1], [2, 1], [1, 0]):  # the last batch is known altogether
        batch = cases.batch(picks, ("fixed", "moving"))
        with torch.no_grad():
            told = model(batch["fixed"], batch["moving"], frozen.logits(picks, batch))
            for place, (pick, shape) in enumerate(zip(picks, batch.shapes, strict=True)):
                alone = cases.batch([pick], ("fixed", "moving"))
                asked = model(alone["fixed"], alone["moving"])
                x, y, z = shape
                for logits in ("fixed_logits", "moving_logits"):
                    kept, said = (getattr(out, logits)[..., :x, :y, :z] for out in (told, asked))
                    torch.testing.assert_close(kept[place], said[0], atol=5e-3, rtol=0)  # kept as float16
                if batch["fixed"].shape == alone["fixed"].shape:
                    torch.testing.assert_close(told.displacement[place], asked.displacement[0], atol=1e-4, rtol=0)


@pytest.mark.parametrize(("kind", "levels"), [("wssamnet", 2), ("wssamnet", 3), ("wssamnet", 4), ("voxelmorph", 3)])
def test_a_case_is_trained_on_as_it_will_be_registered(make_prepared: Make, kind: str, levels: int) -> None:
    made = [make_prepared(f"case_{n}", seed=n, shape=(18 + 5 * n, 30 - 4 * n, 21)) for n in range(3)]
    settings = small(levels=levels)
    model = build_model(kind, settings, 1).eval()
    for parameter in model.parameters():  # away from the identity
        torch.nn.init.normal_(parameter, std=0.2, generator=torch.Generator().manual_seed(parameter.numel()))
    cases = open_training_set([case.folder for case in made], settings)
    for pick, (case, box) in enumerate(zip(made, cases.boxes, strict=True)):
        batch = cases.batch([pick], ("fixed", "moving"))
        with torch.no_grad():
            out = model(batch["fixed"], batch["moving"])
        field = (out.displacement if kind == "wssamnet" else out[0])[0].movedim(0, -1)
        x, y, z = batch.shapes[0]
        seen = predict(model, case.array("fixed").astype(np.float32), case.array("moving").astype(np.float32))[box]
        assert np.abs(seen).max() > 0.1
        assert np.allclose(field[:x, :y, :z], seen, atol=1e-3 * np.abs(seen).max())


def test_problems_of_all_cases_are_told_at_once(make_prepared: Make, tmp_path: Path) -> None:
    good, bare, other = (make_prepared(name) for name in ("good", "bare", "other"))
    (bare.folder / "fixed_roi.npy").unlink()
    record = json.loads((other.folder / "prepared.json").read_text())
    (other.folder / "prepared.json").write_text(json.dumps({**record, "modalities": ["t2"]}))
    with pytest.raises(CohortError) as caught:
        train_segmentation("fixed", [good.folder, bare.folder, other.folder, tmp_path], small(), tmp_path / "out")
    text = str(caught.value)
    assert "bare: fixed_roi.npy is missing (a training case needs landmarks in both scans)" in text
    assert "other: was prepared with t2, the settings say t1ce" in text
    assert f"{tmp_path}: is not a prepared case" in text
    assert len(text.splitlines()) == 3
    assert not (tmp_path / "out").exists()


def test_landmarks_that_a_loss_needs_are_missed_before_the_training(make_prepared: Make, tmp_path: Path) -> None:
    old, bare = make_prepared("old", shape=(16, 16, 16)), make_prepared("bare", shape=(16, 16, 16))
    for path in (old.folder / "landmarks.npy", bare.folder / "landmarks.npy", bare.folder / "fixed_roi.npy"):
        path.unlink()
    with pytest.raises(CohortError) as caught:
        open_training_set([old.folder, bare.folder], small(), needs=["landmarks"])
    text = str(caught.value)
    assert "old: landmarks.npy is missing (prepare it again)" in text
    assert "bare: landmarks.npy is missing (a training case needs landmarks in both scans)" in text


def test_no_cases_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CohortError, match="there are no prepared cases to train on"):
        train_voxelmorph([], small(), tmp_path / "out")


def test_a_nan_is_an_error_that_names_the_step(make_prepared: Make, tmp_path: Path) -> None:
    case = make_prepared("one", shape=(16, 16, 16))
    image = np.array(case.array("fixed"))
    image[0, 8, 8, 8] = np.nan
    np.save(case.folder / "fixed.npy", image)
    with pytest.raises(ModelError, match=r"voxelmorph: the loss is not finite at step 1 of 3: total nan"):
        train_voxelmorph([case.folder], small(), tmp_path / "out")
    assert not (tmp_path / "out").exists()

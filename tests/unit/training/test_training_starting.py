"""What a training takes over from the models of earlier stages, and which of them it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from training_samples import Make, folders, small
from wssamnet.errors import ModelError
from wssamnet.files import write_json
from wssamnet.models.persistence import load_model
from wssamnet.training import pretrain, train_registration, train_segmentation
from wssamnet.training.dataset import open_training_set
from wssamnet.training.starting import wssamnet_with_segmentation


def test_segmentation_of_another_shape_is_refused(make_prepared: Make, tmp_path: Path) -> None:
    cases = folders(make_prepared, 1, shape=(16, 16, 16))
    segmentation = train_segmentation("fixed", cases, small(), tmp_path / "s")
    with pytest.raises(ModelError, match=r"does not fit: it has 4 features, 2 levels, 1 channels"):
        pretrain(cases, (segmentation, segmentation), small(features=8), tmp_path / "out")


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"segmentation": "full"}, "sf: was trained with segmentation half, not full"),
        ({"network_spacing_mm": 4}, "sf: was trained with network_spacing_mm None, not 4"),
        ({"head": "full"}, "pre: was trained with head half, not full"),
        ({"attention": "multiply"}, "pre: was trained with attention residual, not multiply"),
    ],
)
def test_models_that_were_trained_on_other_images_are_refused(
    make_prepared: Make, tmp_path: Path, changed: dict[str, object], said: str
) -> None:
    cases = folders(make_prepared, 1, shape=(16, 20, 16))
    pair = (train_segmentation("fixed", cases, small(), tmp_path / "sf"), tmp_path / "sf")
    start = pretrain(cases, pair, small(), tmp_path / "pre")
    with pytest.raises(ModelError, match=said):
        train_registration(cases, pair, start, small(**changed), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_models_that_were_trained_on_other_voxels_are_refused(make_prepared: Make, tmp_path: Path) -> None:
    cases = folders(make_prepared, 1, shape=(16, 20, 16))
    pair = (train_segmentation("fixed", cases, small(), tmp_path / "sf"), tmp_path / "sf")
    record = json.loads((tmp_path / "sf" / "training.json").read_text(encoding="utf-8"))
    assert record["spacing_mm"] == [4, 4, 4]
    write_json(tmp_path / "sf" / "training.json", record | {"spacing_mm": [4, 2, 4]})
    with pytest.raises(ModelError, match=r"sf: was trained on voxels of 4 x 2 x 4 mm, not 4 x 4 x 4 \(train it on"):
        pretrain(cases, pair, small(), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_pretrained_network_is_handed_on_whole(make_prepared: Make, tmp_path: Path) -> None:
    cases = folders(make_prepared, 1, shape=(16, 20, 16))
    settings = small(correlation_radius=1)
    pair = (train_segmentation("fixed", cases, settings, tmp_path / "sf"), tmp_path / "sf")
    start = pretrain(cases, pair, settings, tmp_path / "pre")
    theirs = load_model(start).state_dict()
    seen = open_training_set(cases, settings)
    ours = wssamnet_with_segmentation(pair, settings, seen, start).state_dict()
    fresh = wssamnet_with_segmentation(pair, settings, seen).state_dict()
    assert theirs.keys() == ours.keys() >= {"hints.condense"}
    assert all(torch.equal(theirs[name], ours[name]) for name in theirs)
    assert not torch.equal(fresh["hints.condense"], ours["hints.condense"])

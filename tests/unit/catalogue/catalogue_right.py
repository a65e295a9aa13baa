"""What an accepted input must lead to."""

from __future__ import annotations

import csv
import tempfile
from functools import cache
from pathlib import Path

import numpy as np
from catalogue_place import POINTS, Place, write_sound_cohort
from wssamnet.cohort import read_case, read_cohort
from wssamnet.cohort.cases import Case
from wssamnet.landmarks import read_landmarks
from wssamnet.preprocessing import prepare_case
from wssamnet.preprocessing.prepared import load_prepared
from wssamnet.settings import make_settings


def _prepared(case: Case, modalities: str) -> dict[str, np.ndarray]:
    """What preprocessing makes of a case, in memory."""
    settings = make_settings(values={"modalities": modalities, "prealign": "identity"})
    with tempfile.TemporaryDirectory() as folder:
        prepared = load_prepared(prepare_case(case, settings, folder))
        arrays = {name: np.array(prepared.array(name)) for name in ("fixed", "moving", "fixed_roi", "moving_roi")}
        landmarks = read_landmarks(prepared.folder / "moving_landmarks.csv")
        assert landmarks.ids == POINTS.ids
        return arrays | {"landmarks": landmarks.points}


@cache
def _sound(modalities: str) -> dict[str, np.ndarray]:
    with tempfile.TemporaryDirectory() as folder:
        write_sound_cohort(Path(folder))
        return _prepared(read_cohort(folder)[0], modalities)


def checked(place: Place) -> None:
    """The cohort was checked and split."""
    with (place.out / "splits.csv").open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == len(list((place.out / "cases").glob("*.json"))) == 2
    assert {row["role"] for row in rows} == {"train", "test"}


def as_sound(place: Place, modalities: str = "t1ce") -> None:
    """Preprocessing makes of the first case what it makes of the sound one: images, regions and landmarks."""
    checked(place)
    case = read_case(sorted((place.out / "cases").glob("*.json"))[0])
    found, wanted = _prepared(case, modalities), _sound(modalities)
    assert np.abs(wanted["fixed"]).max() > 0.5
    for name, array in wanted.items():
        assert found[name].shape == array.shape, name
        assert np.abs(found[name].astype(float) - array.astype(float)).max() < 2e-3, name

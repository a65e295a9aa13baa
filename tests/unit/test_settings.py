"""The settings tree: presets, what the user sets, and what is refused."""

from __future__ import annotations

import pytest
from pydantic import ValidationError
from wssamnet.errors import SettingsError
from wssamnet.settings import PRESETS, Settings, make_settings


def test_the_papers_values_are_the_defaults() -> None:
    s = make_settings()
    assert s.preset == "paper"
    assert (s.features, s.levels, s.attention, s.head) == (8, 3, "multiply", "full")
    assert (s.lncc_weight, s.mi_weight, s.focal_gamma, s.registration_lr) == (1, 1, 2, 1e-4)
    assert (s.roi_voxels, s.modalities, s.stage2, s.schedule) == (9, ("t1ce",), "end_to_end", "step")
    assert s == Settings()


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_sets_its_values_and_the_user_wins(name: str) -> None:
    plain = make_settings(name)
    assert plain.preset == name
    for key, value in PRESETS[name].items():
        assert getattr(plain, key) == value
    assert make_settings(name, {"lncc_weight": "7.5"}).lncc_weight == 7.5
    assert make_settings(name, {"lncc_weight": None}) == plain, "an absent value is no value"


def test_values_may_be_text() -> None:
    s = make_settings(values={"preset": "best", "modalities": "t1ce, t2", "velocity": "true", "spacing_mm": "2"})
    assert s.preset == "best"
    assert s.modalities == ("t1ce", "t2")
    assert s.velocity is True
    assert s.spacing_mm == 2.0


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"lncc_windw": 9}, "lncc_windw: is not a setting (did you mean lncc_window?)"),
        ({"zzz": 9}, "zzz: is not a setting (see `wssamnet settings`)"),
        ({"lncc_window": 8}, "lncc_window: '8' is not allowed (an odd number)"),
        (
            {"pyramid": True, "head": "half", "levels": 2},
            "pyramid: 'true' is not allowed (at least 3 levels with the half",
        ),
        ({"features": 0}, "features: '0' is not allowed (Input should be greater than or equal to 1)"),
        ({"features": "many"}, "features: 'many' is not allowed (Input should be a valid integer"),
        ({"attention": "hard"}, "attention: 'hard' is not allowed (Input should be 'multiply', 'residual' or 'none')"),
        ({"modalities": ""}, "modalities: '()' is not allowed"),
        ({"spacing_mm": -1}, "spacing_mm: '-1' is not allowed (Input should be greater than 0)"),
        ({"preset": "papr"}, "preset: 'papr' is not a preset (one of paper, best"),
    ],
)
def test_refused(values: dict[str, object], message: str) -> None:
    with pytest.raises(SettingsError) as caught:
        make_settings(values=values)
    assert str(caught.value).startswith(message)


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValidationError):
        Settings().seed = 3


def test_every_setting_is_described() -> None:
    for name, field in Settings.model_fields.items():
        assert field.description, name


def test_written_and_read_again() -> None:
    s = make_settings("best", {"seed": 4})
    assert Settings(**s.model_dump(mode="json")) == s

"""What a user reads when something is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
from wssamnet import errors
from wssamnet.errors import CohortError, ImageError, SettingsError, WssamnetError


def test_says_where_what_and_how_to_mend_it() -> None:
    error = ImageError("is damaged", Path("a/b.nii"), "copy it again")
    assert str(error) == "a/b.nii: is damaged (copy it again)"
    assert (error.what, error.where, error.remedy) == ("is damaged", Path("a/b.nii"), "copy it again")
    assert str(SettingsError("is not allowed")) == "is not allowed"


def test_a_cohorts_problems_come_one_to_a_line() -> None:
    error = CohortError([ImageError("is damaged", "x.nii"), "case 3: no follow-up"])
    assert str(error) == "x.nii: is damaged\ncase 3: no follow-up"
    assert error.problems == ("x.nii: is damaged", "case 3: no follow-up")


@pytest.mark.parametrize("name", [name for name in dir(errors) if name.endswith("Error")])
def test_every_error_can_be_caught_as_one(name: str) -> None:
    assert issubclass(getattr(errors, name), WssamnetError)

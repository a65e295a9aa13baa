"""What the tests of trainings train: short runs on small prepared cases."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from wssamnet.preprocessing.prepared import PreparedCase
from wssamnet.settings import Settings, make_settings

Make = Callable[..., PreparedCase]


def small(**values: object) -> Settings:
    """Short trainings of the `best` preset's kind."""
    short = {"segmentation_steps": 3, "pretraining_steps": 3, "registration_steps": 5, "voxelmorph_steps": 3}
    return make_settings("best", {"features": 4, "levels": 2, **short, **values})


def folders(make: Make, count: int = 2, **options: object) -> list[Path]:
    return [make(f"case_{n}", seed=n, **options).folder for n in range(count)]

"""The sound cohort that each entry of the catalogue harms."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from catalogue_place import Place, write_sound_cohort


@pytest.fixture(scope="session")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The cohort, written once."""
    root = tmp_path_factory.mktemp("sound") / "cohort"
    write_sound_cohort(root)
    return root


@pytest.fixture
def place(sound: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    """A copy of it, in the folder where the command runs."""
    shutil.copytree(sound, tmp_path / "cohort")
    monkeypatch.chdir(tmp_path)
    here = Place(tmp_path)
    yield here
    here.unmount()


@pytest.fixture
def command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[[Place], tuple[int, list[str]]]:
    """The command line in this process: exit status and everything that it printed, by lines."""
    from wssamnet.cli.app import run

    def call(place: Place) -> tuple[int, list[str]]:
        monkeypatch.setattr(sys, "argv", ["wssamnet", *map(str, place.words)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            run()
        told = capsys.readouterr()
        return int(left.value.code or 0), (told.out + told.err).splitlines()

    return call

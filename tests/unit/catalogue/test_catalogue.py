"""Every entry: accepted and right, or refused in one line before any work, with nothing written."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from fnmatch import translate
from pathlib import Path

import pytest
from catalogue_all import CATALOGUE, DOCUMENT, table
from catalogue_place import Entry, Place

pytestmark = pytest.mark.timeout(120)
ALL = [(title, entry) for title, entries in CATALOGUE.items() for entry in entries]


def _contents(root: Path) -> dict[str, str]:
    """Everything below a folder, with what it holds."""
    found = {}
    for path in sorted(root.rglob("*")):
        if path.is_symlink():
            said = f"link to {path.readlink()}"
        elif path.is_file() and path.stat().st_size < 1 << 26:
            said = hashlib.sha256(path.read_bytes()).hexdigest()
        else:
            said = f"{path.stat().st_mode} {path.stat().st_size if path.is_file() else 0}"
        found[str(path.relative_to(root))] = said
    return found


@pytest.mark.parametrize(("title", "entry"), ALL, ids=[f"{title}: {entry.name}" for title, entry in ALL])
def test_entry(title: str, entry: Entry, place: Place, command: Callable[[Place], tuple[int, list[str]]]) -> None:
    entry.make(place)
    before = _contents(place.root)
    status, lines = command(place)
    after = _contents(place.root)
    assert not place.watched.exists(), "a payload was run"
    assert not any("Traceback" in line for line in lines)
    assert not [name for name in after if re.search(r"(^|/)\.[0-9a-f]{8}\.", name)], "half a file is left"
    if entry.says is None:
        assert status == 0, lines
        kept = {name: said for name, said in before.items() if not name.startswith(("out", "kept"))}
        assert kept.items() <= after.items(), "an input was changed"
        assert entry.right is not None
        entry.right(place)
        return
    assert status == 2
    assert after == before
    assert len(lines) == 1, lines
    line = lines[0].replace(f"{place.root}/", "").replace("cohort/BraTSReg_001/B", "B")
    assert re.match(translate("wssamnet: " + entry.says.replace("[", "[[]")), line), line
    assert re.fullmatch(r"wssamnet: (.+?): (.+) \((.+)\)", line), "the place, the fault and the remedy"


def test_names_are_told_apart_and_there_are_enough() -> None:
    names = [(title, entry.name) for title, entry in ALL]
    assert len(set(names)) == len(names) >= 60
    assert all((entry.says is None) == bool(entry.accepted) for _, entry in ALL)


def test_the_table_is_up_to_date() -> None:
    assert DOCUMENT.read_text(encoding="utf-8") == table(), "python tests/unit/catalogue/catalogue_all.py"

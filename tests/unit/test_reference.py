"""The reference is current, and every command in the documents names only what there is."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from reference_pages import PAGE, ROOT, page, parameters, verbs

from documents import DOCUMENTS, lines, spans

# Slurm's own options, and one that stands for any
FOREIGN = {"gres", "gpus", "qos", "constraint", "reservation", "name"}


def test_the_reference_is_current() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "python tests/unit/reference_pages.py writes it anew"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_parameter_in_a_document_is_one(document: Path) -> None:
    known = {name for entries in parameters().values() for name in entries}
    profiles = set(re.findall(r"^    ([a-z]+) \{", (ROOT / "nextflow.config").read_text(), flags=re.MULTILINE))
    for words in map(shlex.split, lines(document, "nextflow run")):
        named = {word[2:].split("=")[0] for word in words if word.startswith("--")}
        assert named <= known, words
        if "-profile" in words:
            assert set(words[words.index("-profile") + 1].split(",")) <= profiles, words


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_option_in_a_document_is_one(document: Path) -> None:
    for words in map(shlex.split, lines(document, "wssamnet ")):
        rest = words[3:] if words[1] == "--threads" else words[1:]
        if rest[0].startswith("-"):
            continue
        verb = verbs().get(rest[0])
        assert verb is not None, words
        known = _options(verb) | {"--help"}
        assert {word.split("=")[0] for word in rest if word.startswith("--")} <= known, words


def _options(verb: Any) -> set[str]:
    return {name for one in verb.params for name in (*one.opts, *one.secondary_opts)}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_option_in_the_prose_is_one(document: Path) -> None:
    known = {name for entries in parameters().values() for name in entries} | FOREIGN
    known |= {option.removeprefix("--") for verb in verbs().values() for option in _options(verb)}
    told = [span for span in spans(document.read_text(encoding="utf-8")) if re.match(r"--?[a-z]", span)]
    named = {word[2:].split("=")[0] for span in told for word in span.split() if word.startswith("--")}
    assert {name.rstrip(":,") for name in named} <= known

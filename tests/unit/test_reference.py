"""The reference is current, and every command in the documents names only what there is."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from reference_pages import PAGE, ROOT, page, parameters, verbs

DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def test_the_reference_is_current() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "python tests/unit/reference_pages.py writes it anew"


def _commands(document: Path, program: str) -> list[list[str]]:
    """The calls of a program in the code blocks, continued lines joined, each as words."""
    text = document.read_text(encoding="utf-8")
    blocks = re.findall(r"^```[a-z]*\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    return [shlex.split(line, comments=True) for line in lines if line.strip().startswith(program + " ")]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_parameter_in_a_document_is_one(document: Path) -> None:
    known = {name for entries in parameters().values() for name in entries}
    profiles = set(re.findall(r"^    ([a-z]+) \{", (ROOT / "nextflow.config").read_text(), flags=re.MULTILINE))
    for words in _commands(document, "nextflow run"):
        named = {word[2:].split("=")[0] for word in words if word.startswith("--")}
        assert named <= known, words
        if "-profile" in words:
            assert set(words[words.index("-profile") + 1].split(",")) <= profiles, words


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_option_in_a_document_is_one(document: Path) -> None:
    for words in _commands(document, "wssamnet"):
        rest = words[3:] if words[1] == "--threads" else words[1:]
        if rest[0].startswith("-"):
            continue
        verb = verbs().get(rest[0])
        assert verb is not None, words
        known = {name for one in verb.params for name in (*one.opts, *one.secondary_opts)} | {"--help"}
        assert {word.split("=")[0] for word in rest if word.startswith("--")} <= known, words

"""The two recipes are one: the same arguments, labels and environment, and the package's own version."""

from __future__ import annotations

import re
from pathlib import Path

from wssamnet import __version__

FOLDER = Path(__file__).parents[2] / "containers"


def dockerfile() -> str:
    """The Dockerfile, each instruction on one line."""
    return (FOLDER / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")


def section(name: str) -> list[str]:
    """The lines of a section of the Apptainer definition."""
    text = (FOLDER / "apptainer.def").read_text(encoding="utf-8")
    found = re.search(rf"^%{name}\n((?:    .*\n)+)", text, re.MULTILINE)
    assert found is not None, name
    return [line.strip() for line in found.group(1).splitlines()]


def arguments() -> dict[str, str]:
    return dict(re.findall(r"^ARG (\w+)=(\S*)$", dockerfile(), re.MULTILINE))


def pairs(instruction: str) -> dict[str, str]:
    """Name → value of every LABEL or ENV before the user is set."""
    build = dockerfile().split("\nUSER ")[0]
    found = re.findall(rf"^{instruction} (.*)$", build, re.MULTILINE)
    return {name: value.strip('"') for line in found for name, value in re.findall(r'([\w.]+)=("[^"]*"|\S+)', line)}


def in_apptainers_words(values: dict[str, str]) -> dict[str, str]:
    return {name: re.sub(r"\$\{(\w+)\}", r"{{ \1 }}", value) for name, value in values.items()}


def test_both_take_the_same_arguments() -> None:
    assert dict(line.split("=", 1) for line in section("arguments")) == arguments()
    assert arguments()["VERSION"] == __version__


def test_both_have_the_same_labels() -> None:
    assert dict(line.split(" ", 1) for line in section("labels")) == in_apptainers_words(pairs("LABEL"))


def test_both_set_the_same_environment() -> None:
    lines = [line.removeprefix("export ") for line in section("environment")]
    assert {name: value.strip('"') for name, value in (line.split("=", 1) for line in lines)} == in_apptainers_words(
        pairs("ENV")
    )


def test_both_copy_the_same_files_and_call_the_same_installation() -> None:
    copied = re.findall(r"^COPY (.*) (\S+)$", dockerfile(), re.MULTILINE)
    files = {source for sources, _ in copied for source in sources.split()}
    assert {line.split()[0] for line in section("files")} == files
    assert "/src/containers/install" in section("post")[-1]
    assert " /src/containers/install" in dockerfile()

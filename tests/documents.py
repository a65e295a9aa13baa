"""Every command in README.md and docs/*.md, as it stands there."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
DOCUMENTS = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
# What a fenced block may be: commands, nothing but commands; or something else, in which a line may still be one.
LANGUAGES = ("bash", "csv", "groovy", "python", "text")
PROGRAMS = (
    *("wssamnet", "generate_output", "apply_deformation", "nextflow", "make", "git", "python", "python3", "pip", "uv"),
    *("docker", "podman", "buildah", "apptainer", "singularity", "ch-convert", "ch-run", "conda", "apt", "apt-get"),
    *("srun", "sbatch", "squeue", "scancel", "scontrol", "sinfo", "sacctmgr", "torchrun"),
    *("antsApplyTransforms", "antsApplyTransformsToPoints", "antsRegistration", "cd", "cp", "rm", "export"),
)


@dataclass(frozen=True)
class Command:
    """One line, continued lines joined and comments cut off.

    Args:
        document: ``README.md`` or ``docs/NAME.md``.
        text: single spaces between its words.
        inline: in the prose, where it may name a program and a part of its words; else in a block.
    """

    document: str
    text: str
    inline: bool = False


def fences(text: str) -> list[tuple[str, str]]:
    """Language and content of every fenced block."""
    return re.findall(r"^```([^\n]*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def _lines(block: str) -> list[str]:
    joined = re.sub(r"\s*\\\n\s*", " ", block)
    found = [" ".join(re.sub(r"(^|\s+)#.*", "", line).split()) for line in joined.splitlines()]
    return [line for line in found if line]


def spans(text: str) -> list[str]:
    """What stands between backticks outside of blocks; a span may go over the end of a line."""
    prose = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    spans = [span for _, span in re.findall(r"(?<!`)(`+)(?!`)(.+?)(?<!`)\1(?!`)", prose, re.DOTALL)]
    return [" ".join(span.split()) for span in spans if "\n\n" not in span]


def commands(*documents: Path) -> list[Command]:
    """Every command, once a document, in its order; of all documents where none is named.

    A block marked ``bash`` holds commands alone. Elsewhere a line or a span of code is one that begins with the name of
    a program and has more words.
    """
    found: dict[Command, None] = {}
    for document in documents or DOCUMENTS:
        text, name = document.read_text(encoding="utf-8"), str(document.relative_to(ROOT))
        for language, block in fences(text):
            if language in ("bash", "text"):
                said = [line for line in _lines(block) if language == "bash" or _begins(line)]
                found |= dict.fromkeys(Command(name, line) for line in said)
        found |= dict.fromkeys(Command(name, span, inline=True) for span in spans(text) if _begins(span))
    return list(found)


def lines(document: Path, beginning: str) -> list[str]:
    """The commands of a document's blocks that begin so."""
    return [one.text for one in commands(document) if not one.inline and one.text.startswith(beginning)]


def _begins(line: str) -> bool:
    return line.split()[0] in PROGRAMS and " " in line

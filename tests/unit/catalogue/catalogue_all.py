"""The whole catalogue, and its table in the documents.

``python tests/unit/catalogue/catalogue_all.py`` writes docs/bad-inputs.md.
"""

from __future__ import annotations

from pathlib import Path

from catalogue_cohorts import FOLDERS, SETTINGS, SHEETS
from catalogue_files import MODELS, STEPS
from catalogue_images import ENTRIES as IMAGES
from catalogue_landmarks import ENTRIES as LANDMARKS
from catalogue_outputs import OUTPUTS, PAIR
from catalogue_place import Entry
from catalogue_transforms import TRANSFORMS

DOCUMENT = Path(__file__).parents[3] / "docs" / "bad-inputs.md"
CATALOGUE: dict[str, list[Entry]] = {
    "Images and masks": IMAGES,
    "Landmark files": LANDMARKS,
    "Cohort folders, and splits": FOLDERS,
    "Samplesheets": SHEETS,
    "Settings": SETTINGS,
    "One pair": PAIR,
    "Transforms": TRANSFORMS,
    "Outputs": OUTPUTS,
    "Files between steps": STEPS,
    "Models and checkpoints": MODELS,
}
HEAD = """\
# Bad and odd inputs

One defect each, in an input that is sound otherwise, and what the command line makes of it. Refused means: before any
work, one line (paths shortened here, `…` for what differs from case to case), exit status 2, nothing written. Each row
is a test in `tests/unit/catalogue`, and this page is made from it: `python tests/unit/catalogue/catalogue_all.py`.
"""


def table() -> str:
    """The document."""
    parts = [HEAD]
    for title, entries in CATALOGUE.items():
        rows = [f"\n## {title}\n", "| input | outcome |", "|---|---|"]
        for entry in entries:
            said = (entry.says or "").replace("*", "…").replace("|", "\\|")
            quoted = f"`` {said} ``" if "`" in said else f"`{said}`"
            rows.append(f"| {entry.name} | {quoted if said else 'accepted: ' + entry.accepted} |")
        parts.append("\n".join(rows) + "\n")
    return "".join(parts)


if __name__ == "__main__":
    DOCUMENT.write_text(table(), encoding="utf-8")

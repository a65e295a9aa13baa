"""The checked cohort on disk: what every later step reads instead of searching folders again."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from wssamnet.cohort.cases import Case, read_case
from wssamnet.cohort.splits import Fold
from wssamnet.errors import CohortError
from wssamnet.files import write_json, written_atomically


def write_manifest(cases: Sequence[Case], folds: Sequence[Fold], out: str | Path) -> None:
    """Write ``cases/<id>.json`` and, when they are all there, ``splits.csv`` (fold,case,role).

    Args:
        cases: the checked cohort; the files hold absolute paths.
        folds: who trains and who tests; `role` is "train" or "test".
        out: folder, made where missing.
    """
    out = Path(out)
    for former in {*(out / "cases").glob("*.json")} - {out / "cases" / f"{case.id}.json" for case in cases}:
        if _is_a_case(former):
            former.unlink()  # it has left the cohort
    for case in cases:
        write_json(out / "cases" / f"{case.id}.json", case.to_dict())
    lines = ["fold,case,role"]
    for fold in folds:
        lines += [f"{fold.index},{name},train" for name in fold.train]
        lines += [f"{fold.index},{name},test" for name in fold.test]
    with written_atomically(out / "splits.csv") as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _is_a_case(path: Path) -> bool:
    """Whether an earlier call wrote it; anything else in the folder is not ours to remove."""
    try:
        return read_case(path).id == path.stem
    except CohortError:
        return False

"""A samplesheet: one row a case, one column a file, any file names.

Columns: ``case``, ``fixed_<modality>`` and ``moving_<modality>`` (``fixed_t1ce``, …),
``fixed_landmarks``, ``moving_landmarks``, ``fixed_mask``, ``moving_mask``, ``fixed_lesion``; and ``patient``,
where one has several rows. Paths are relative to the sheet's folder; an empty cell means that there is no such file.
"""

from __future__ import annotations

import csv
import difflib
import io
from pathlib import Path

from wssamnet.cohort.cases import Case, Scan

_USUAL = ("case", "patient", *(f"{side}_{name}" for side in ("fixed", "moving")
                    for name in ("t1", "t1ce", "t2", "flair", "landmarks", "mask")), "fixed_lesion")  # fmt: skip
_KINDS = ("landmarks", "mask", "lesion")  # not images
_LONGEST = 1 << 26  # bytes


def _delimiter(header: str) -> str:
    """The separator that occurs most in the header: comma, semicolon (some spreadsheets) or tab."""
    return max((",", ";", "\t"), key=header.count)


def _column_problem(name: str) -> str | None:
    side, _, what = name.partition("_")
    # an image may have any name, but none that is nearly that of something else
    slip = what not in _KINDS and difflib.get_close_matches(what, _KINDS, n=1, cutoff=0.75)
    if name == "moving_lesion":
        return (
            "column 'moving_lesion' is not used (fixed_lesion: distances to the tumour are measured in the fixed scan)"
        )
    if name in ("case", "patient") or (side in ("fixed", "moving") and what and not slip):
        return None
    near = difflib.get_close_matches(name, _USUAL, n=1)
    hint = f"did you mean {near[0]}?" if near else "case, fixed_t1ce, moving_t1ce, fixed_landmarks, …"
    return f"column '{name}' is not known ({hint})"


def read_samplesheet(path: Path) -> tuple[tuple[Case, ...], tuple[str, ...]]:
    """Read a samplesheet; nothing but the sheet itself is opened.

    Returns:
        the cases in the sheet's order, and one line for each problem.
    """
    try:
        if path.stat().st_size > _LONGEST:
            return (), (f"{path}: holds {path.stat().st_size >> 20} MiB (a samplesheet, one row a case)",)
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError):
        return (), (f"{path}: cannot be read as text (a CSV file in UTF-8)",)
    lines = text.splitlines()
    if not lines:
        return (), (f"{path}: is empty (a header row and one row a case)",)
    reader = csv.reader(io.StringIO(text), delimiter=_delimiter(lines[0]))
    try:
        rows = [(reader.line_num, [cell.strip() for cell in row]) for row in reader if any(map(str.strip, row))]
    except csv.Error as error:
        return (), (f"{path}: is not a CSV file: {error} (a header row and one row a case)",)
    if "\0" in text:
        return (), (f"{path}: holds a null character (a CSV file in UTF-8)",)
    header = [name.lower() for name in rows[0][1]] if rows else []
    problems = [f"{path}: {line}" for line in map(_column_problem, header) if line]
    problems += [
        f"{path}: column '{n}' occurs twice (each once)" for n in sorted({n for n in header if header.count(n) > 1})
    ]
    if "case" not in header:
        problems.append(f"{path}: has no column 'case' (the first line names the columns)")
    if problems:
        return (), tuple(problems)
    cases: list[Case] = []
    spellings: dict[str, set[str]] = {}
    patients: set[str] = set()
    for number, row in rows[1:]:
        if len(row) > len(header):
            problems.append(
                f"{path}: row {number} has {len(row)} values for {len(header)} columns (quote commas in names)"
            )
            continue
        cells = {name: cell for name, cell in zip(header, row, strict=False) if cell}
        if "case" not in cells:
            problems.append(f"{path}: row {number} has no case id (one in column 'case')")
            continue
        sides: dict[str, dict[str, Path]] = {"fixed": {}, "moving": {}}
        for name, cell in cells.items():
            side, _, what = name.partition("_")
            if side in sides:
                sides[side][what] = (path.parent / cell).absolute()
        lesion = sides["fixed"].pop("lesion", None)
        scans = {}
        for side, files in sides.items():
            landmarks, mask = files.pop("landmarks", None), files.pop("mask", None)
            scans[side] = Scan(files, landmarks, mask)
        patient = cells.get("patient", "")
        patients.add(patient.lower())
        named = patient or cells["case"]  # as the split has it
        spellings.setdefault(named.lower(), set()).add(named)
        cases.append(Case(cells["case"], **scans, lesion=lesion, patient=patient))
    # ids of cases that differ so are for `check_cohort`
    for names in (sorted(names) for key, names in spellings.items() if len(names) > 1 and key in patients):
        problems.append(f"{path}: patients {' and '.join(names)} differ in capitals alone (one spelling a patient)")
    if not cases and not problems:
        problems.append(f"{path}: has no row below the header (one row a case)")
    return tuple(cases), tuple(problems)

"""Where the files of a cohort are: the challenge's folders, BIDS's, or a samplesheet with any names."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from wssamnet.cohort.bids import find_subjects, is_subject
from wssamnet.cohort.cases import Case, Scan
from wssamnet.cohort.samplesheet import read_samplesheet
from wssamnet.errors import CohortError
from wssamnet.files import is_named, leads_nowhere

KNOWN_MODALITIES = ("t1", "t1ce", "t2", "flair")
_OTHER = re.compile(r"(?P<id>.+)_\d\d_\d+_(?P<image>[A-Za-z0-9-]+)\.nii(\.gz)?$")  # named like the challenge's
_LAYOUT = "BraTSReg_001/BraTSReg_001_00_0000_t1ce.nii.gz and …_01_0106_t1ce.nii.gz"


@dataclass(frozen=True)
class Found:
    """What a source holds.

    Args:
        cases: those whose files could be told apart, in order of their ids.
        problems: one line for each thing that could not.
    """

    cases: tuple[Case, ...]
    problems: tuple[str, ...]


def _pattern(modalities: Sequence[str]) -> re.Pattern[str]:
    names = "|".join(re.escape(name) for name in sorted({*KNOWN_MODALITIES, *modalities}, key=len, reverse=True))
    return re.compile(
        rf"^(?P<id>.+)_(?P<visit>\d\d)_(?P<days>\d+)_"
        rf"(?:(?P<image>{names}|mask)\.nii(?:\.gz)?|(?P<landmarks>landmarks)\.csv)$",
        re.IGNORECASE,
    )


def _entries(folder: Path) -> list[Path]:
    """Visible entries in a fixed order; none where the folder may not be read."""
    try:
        return sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError:
        return []


def _case_files(folder: Path, pattern: re.Pattern[str]) -> list[tuple[re.Match[str], Path]]:
    found = ((pattern.match(path.name), path) for path in _entries(folder) if is_named(path))
    return [(match, path) for match, path in found if match]


def _scan(files: list[tuple[re.Match[str], Path]], problems: list[str]) -> Scan:
    images: dict[str, Path] = {}
    landmarks: Path | None = None
    for match, path in files:
        if match["landmarks"]:
            landmarks = path
            continue
        name = match["image"].lower()
        if name in images:
            problems.append(f"{path}: is there twice, also as {images[name].name} (keep one of them)")
        images[name] = path
    mask = images.pop("mask", None)
    return Scan(images, landmarks, mask)


def _brats_case(folder: Path, files: list[tuple[re.Match[str], Path]], problems: list[str]) -> Case | None:
    prefixes = sorted({match["id"] for match, _ in files})
    if len(prefixes) > 1:
        problems.append(f"{folder}: holds files of several cases, {', '.join(prefixes)} (one folder for each)")
        return None
    points: dict[tuple[str, str], list[tuple[re.Match[str], Path]]] = defaultdict(list)
    for match, path in files:
        points[match["visit"], match["days"]].append((match, path))
    baselines = sorted(key for key in points if key[0] == "00")
    followups = sorted(key for key in points if key[0] != "00")
    name = prefixes[0]
    sound = True
    for wanted, keys, example in (("baseline", baselines, "00_0000"), ("follow-up", followups, "01_0106")):
        if not keys:
            problems.append(f"{folder}: has no {wanted} scan (files named {name}_{example}_….nii.gz)")
            sound = False
        elif len(keys) > 1:
            listed = ", ".join("_".join(key) for key in keys)
            problems.append(
                f"{folder}: has {len(keys)} {wanted} scans, {listed} "
                "(keep one in the folder, or choose pairs in a samplesheet with a column 'patient')"
            )
            sound = False
    if not sound:
        return None
    return Case(name, _scan(points[baselines[0]], problems), _scan(points[followups[0]], problems))


def _with_lesion(case: Case, cohort: Path) -> Case:
    """The case with the lesion that lies beside the cases' folders, where there is one."""
    path = cohort / "truth" / f"{case.id}_lesion.nii.gz"
    return replace(case, lesion=path) if is_named(path) else case


def _lost(folder: Path) -> str | None:
    """What a folder without files of a case might have been, where that can be told."""
    if leads_nowhere(folder):
        return f"{folder}: is a link that leads nowhere (to a case's folder; remove it if it is none)"
    if folder.name != "lost+found" and not os.access(folder, os.R_OK | os.X_OK):
        return f"{folder}: cannot be read (permission to read the folder)"
    named = filter(None, (_OTHER.match(path.name) for path in _entries(folder)))
    others = sorted({match["image"] for match in named if match["id"] == folder.name})
    if others:
        return f"{folder}: has images named {', '.join(others)} alone ({', '.join(KNOWN_MODALITIES)}, or `modalities`)"
    return None


def _case_folders(
    source: Path, pattern: re.Pattern[str], problems: list[str]
) -> dict[Path, list[tuple[re.Match[str], Path]]]:
    """The nearest level at or below `source` with challenge files; at most two levels down."""
    level = [source]
    for _ in range(3):
        found = {folder: files for folder in level if (files := _case_files(folder, pattern))}
        below = [
            path
            for folder in level
            for path in _entries(folder)
            if path.is_dir() or (leads_nowhere(path) and not path.suffix)
        ]
        if found:
            problems += filter(None, map(_lost, (folder for folder in level if folder not in found)))
            problems += _deeper(below, found, pattern)
            return found
        level = below
    return {}


def _deeper(
    below: Sequence[Path], found: dict[Path, list[tuple[re.Match[str], Path]]], pattern: re.Pattern[str]
) -> Iterator[str]:
    """What lies one level below the cases' folders and is a case of its own, not a copy of one of them."""
    known = {match["id"] for files in found.values() for match, _ in files}
    for folder in below:
        others = sorted({match["id"] for match, _ in _case_files(folder, pattern)} - known)
        if others:
            yield (
                f"{folder}: holds {', '.join(others)}, a level below {next(iter(found))} "
                "(all cases' folders side by side, or a samplesheet)"
            )


def find_cases(source: str | Path, modalities: Sequence[str] = KNOWN_MODALITIES, sessions: Sequence[str] = ()) -> Found:
    """Tell the files of a cohort apart without reading any image.

    Args:
        source: a folder in the challenge's layout (its parent, or one case's folder, will do;
            folders without such files are passed over; ``truth/CASE_lesion.nii.gz`` beside the cases'
            folders is a case's lesion), a folder of BIDS subjects (see `bids`), or a
            samplesheet CSV.
        modalities: names that are expected besides the challenge's four.
        sessions: BIDS labels of the fixed and of the moving scan; () where numbers order them.

    Returns:
        the cases and the problems; whether the files exist and can be used is for `check_cohort`.
    """
    source = Path(source)
    if source.is_file():
        if source.suffix.lower() not in (".csv", ".tsv", ".txt"):
            return Found((), (f"{source}: is neither a folder nor a samplesheet (a .csv file)",))
        return Found(*read_samplesheet(source))
    if not source.is_dir():
        return Found((), (f"{source}: there is no such file or folder (a cohort's folder or a samplesheet)",))
    problems: list[str] = []
    cases: list[Case] = []
    if is_subject(source) or any(map(is_subject, _entries(source))):
        subjects = [source] if is_subject(source) else [path for path in _entries(source) if is_subject(path)]
        return Found(*find_subjects(subjects, modalities, sessions))
    if sessions:
        problems.append(f"{source}: sessions are named, but it holds no folder sub-… (a BIDS cohort, or no sessions)")
    for folder, files in _case_folders(source, _pattern(modalities), problems).items():
        case = _brats_case(folder, files, problems)
        if case is not None:
            # beside the folder of a single case is outside of what was named
            cases.append(case if folder == source else _with_lesion(case, folder.parent))
    if not cases and not problems:
        problems.append(f"{source}: holds no case ({_LAYOUT})")
    return Found(tuple(sorted(cases, key=lambda case: case.id)), tuple(problems))


def read_cohort(source: str | Path, modalities: Sequence[str] = KNOWN_MODALITIES) -> list[Case]:
    """Find the cases of a cohort; see `find_cases`.

    Raises:
        CohortError: every file or folder that could not be assigned.
    """
    found = find_cases(source, modalities)
    if found.problems:
        raise CohortError(found.problems)
    return list(found.cases)

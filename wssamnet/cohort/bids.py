"""BIDS's folders, raw or derivatives: ``sub-01/ses-pre/anat/sub-01_ses-pre_ce-gadolinium_T1w.nii.gz``.

========================  ==================================================================
``…_ce-LABEL_T1w``        t1ce; also the suffix ``T1ce``
``…_T1w``, ``…_T2w``      t1, t2
``…_FLAIR``               flair
``…_desc-brain_mask``     brain mask
``…_label-lesion_mask``   lesion, of the fixed scan; also ``desc-lesion``
``…_landmarks``           landmarks, ``.csv`` with commas or ``.tsv`` with tabs
========================  ==================================================================

Other suffixes are passed over, and so are entities besides ``ses``, ``ce`` and a mask's ``desc`` and ``label``. Which
session is the fixed scan is said by name; where it is not, two sessions whose labels are numbers are taken in their
order.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from os.path import realpath
from pathlib import Path

from wssamnet.cohort.cases import Case, Scan
from wssamnet.files import is_named, leads_nowhere

_NAME = re.compile(
    r"(?P<subject>sub-[A-Za-z0-9]+)(?P<entities>(?:_[A-Za-z0-9]+-[A-Za-z0-9+]+)*)_(?P<suffix>[A-Za-z0-9]+)"
    r"(?P<ending>\.nii|\.nii\.gz|\.csv|\.tsv)"
)
_MODALITIES = {"t1w": "t1", "t1ce": "t1ce", "t2w": "t2", "flair": "flair"}
_REMEDY = "keep one of them in the folder, or choose in a samplesheet"
Files = dict[str, Path]


def is_subject(folder: Path) -> bool:
    """Whether a folder is a BIDS subject's."""
    return re.fullmatch(r"sub-[A-Za-z0-9]+", folder.name) is not None and (folder.is_dir() or leads_nowhere(folder))


def _kind(suffix: str, entities: dict[str, str], ending: str) -> str | None:
    """What a file is for us: a modality, "mask", "lesion" or "landmarks"; None for all others."""
    if ending in (".csv", ".tsv"):
        return "landmarks" if suffix == "landmarks" else None
    if suffix == "mask":
        if "lesion" in (entities.get("label"), entities.get("desc")):
            return "lesion"
        return "mask" if entities.get("desc") == "brain" else None
    return "t1ce" if suffix == "t1w" and "ce" in entities else _MODALITIES.get(suffix)


def _sessions(subject: Path, wanted: set[str]) -> tuple[dict[str, Files], dict[str, list[str]]]:
    """Session label to its files by kind, and to what is wrong with it: of the wanted kinds there may be one each."""
    found: dict[str, Files] = defaultdict(dict)
    problems: dict[str, list[str]] = defaultdict(list)
    for path in sorted(path for depth in ("*", "*/*", "*/*/*") for path in subject.glob(depth)):
        match = _NAME.fullmatch(path.name)
        if match is None or match["subject"] != subject.name or not is_named(path):
            continue
        entities = dict(part.split("-", 1) for part in match["entities"].split("_") if part)
        kind = _kind(match["suffix"].lower(), entities, match["ending"])
        if kind is None or "ses" not in entities:
            continue
        first = found[entities["ses"]].setdefault(kind, path)
        if kind in wanted and realpath(first) != realpath(path):
            problems[entities["ses"]].append(f"{path}: is a second {kind}, beside {first.name} ({_REMEDY})")
    return found, problems


def _chosen(subject: Path, labels: Sequence[str], sessions: Sequence[str]) -> tuple[str, str] | str:
    """Labels of the fixed and the moving session, or why there are none."""
    has = ", ".join(labels) or "none"
    if sessions:
        lacking = [name for name in sessions if name not in labels]
        if lacking:
            return f"{subject}: has no scan of session {' and '.join(lacking)} (it has {has})"
        return sessions[0], sessions[1]
    remedy = "name two: --sessions FIXED,MOVING"
    if len(labels) != 2:
        return f"{subject}: has scans of {len(labels)} sessions, {has} ({remedy})"
    if not all(name.isdecimal() for name in labels) or int(labels[0]) == int(labels[1]):
        return f"{subject}: sessions {has} have no order by number ({remedy})"
    first, second = sorted(labels, key=int)
    return first, second


def _scan(files: Files) -> Scan:
    images = {name: path for name, path in files.items() if name not in ("landmarks", "mask", "lesion")}
    return Scan(images, files.get("landmarks"), files.get("mask"))


def find_subjects(
    subjects: Sequence[Path], modalities: Sequence[str], sessions: Sequence[str] = ()
) -> tuple[tuple[Case, ...], tuple[str, ...]]:
    """Tell the files of BIDS subjects apart without reading any image.

    Args:
        subjects: their folders, ``sub-LABEL``.
        modalities: those that must be there once; more files of others do not matter.
        sessions: labels of the fixed and of the moving scan, without ``ses-``; () where numbers order them.

    Returns:
        the cases, named ``sub-LABEL``, and one line for each problem.
    """
    named = tuple(name.removeprefix("ses-") for name in sessions)
    if named and (len(named) != 2 or named[0] == named[1]):
        return (), (f"sessions: {','.join(sessions)} (two labels: of the fixed scan, of the moving scan)",)
    problems: list[str] = []
    cases: list[Case] = []
    for subject in subjects:
        found, doubled = _sessions(subject, {*modalities, "mask", "lesion", "landmarks"})
        chosen = _chosen(subject, sorted(found), named)
        if isinstance(chosen, str):
            problems += [*(line for label in sorted(found) for line in doubled[label]), chosen]
        else:
            problems += (line for label in chosen for line in doubled[label])
            fixed, moving = (found[label] for label in chosen)
            cases.append(Case(subject.name, _scan(fixed), _scan(moving), fixed.get("lesion")))
    return tuple(cases), tuple(problems)

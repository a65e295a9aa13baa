"""Which files of another tool's result folder belong to a case.

A case's files lie in a folder of its name, ``<root>/<case>/<name>``, or flat, ``<root>/<case>_<name>``. Names:

    fixed_to_moving.*                  pull-back: any transform that `wssamnet.transforms` reads; or a chain of them,
                                       fixed_to_moving_1.*, fixed_to_moving_2.*: points travel through 1 first
    moving_to_fixed.*                  push-forward, likewise; without it the pull-back is inverted
    1Warp.nii.gz, 0GenericAffine.mat   ANTs's output for the fixed and the moving scan, with any prefix in a case's
    1InverseWarp.nii.gz                folder; points travel through the warp first
    df_b2f.nii.gz, df_f2b.nii.gz       the BraTSReg challenge's container output: pull-back, push-forward
    landmarks.csv, or <case>.csv       the moving landmarks in fixed space, LPS mm
    run.json                           seconds, device and threads, where they are known

Our own ``registration/<method>`` is such a folder.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from wssamnet.errors import WssamnetError
from wssamnet.fields import Chain, Transform
from wssamnet.transforms import invert, read_transform

_NAMED = {
    "pull-back": re.compile(r"fixed_to_moving(?:_(\d+))?\..+"),
    "push-forward": re.compile(r"moving_to_fixed(?:_(\d+))?\..+"),
}
_CHALLENGE = {"pull-back": re.compile(r"df_b2f\.nii(\.gz)?"), "push-forward": re.compile(r"df_f2b\.nii(\.gz)?")}
_ANTS = {
    "warp": re.compile(r"1Warp\.nii(\.gz)?"),
    "affine": re.compile(r"0GenericAffine\.mat"),
    "inverse": re.compile(r"1InverseWarp\.nii(\.gz)?"),
}
_PREFIXED = re.compile(r".*?((1Warp|0GenericAffine|1InverseWarp)\..+)")
_KNOWN = "fixed_to_moving.*, 1Warp.nii.gz, 0GenericAffine.mat, df_b2f.nii.gz or landmarks.csv; see docs/methods.md"


@dataclass(frozen=True)
class Part:
    """One file of a chain; `inverted` where its inverse is meant."""

    path: Path
    inverted: bool = False


@dataclass(frozen=True)
class ExternalFiles:
    """The files of one case.

    Args:
        case: its id.
        pull_back, push_forward: parts in the order in which points travel through them; empty where there are none.
        landmarks: moving landmarks in fixed space.
        record: seconds, device, threads.
    """

    case: str
    pull_back: tuple[Part, ...] = ()
    push_forward: tuple[Part, ...] = ()
    landmarks: Path | None = None
    record: Path | None = None

    def all(self) -> list[Path]:
        """Every file, each once, sorted."""
        paths = {part.path for part in (*self.pull_back, *self.push_forward)}
        return sorted(paths | {path for path in (self.landmarks, self.record) if path is not None})


def read_parts(parts: Iterable[Part]) -> Transform:
    """The chain of some files.

    Raises:
        ImageError, GeometryError: a file cannot be read.
    """
    chain = []
    for part in parts:
        transform = read_transform(part.path)
        chain.append(invert(transform) if part.inverted else transform)
    return Chain(tuple(chain))


class ExternalFolder:
    """A result folder, listed once.

    Args:
        root: absolute or not; paths are given below it as it is.

    Raises:
        WssamnetError: it is no folder.
    """

    def __init__(self, root: Path) -> None:
        if not root.is_dir():
            raise WssamnetError("there is no such folder", root, "NAME=FOLDER with another tool's results")
        self.root = root
        self._flat = sorted(path for path in root.iterdir() if path.is_file())

    def _candidates(self, case: str) -> list[tuple[str, Path]]:
        """(name without the case's id, path) of everything that belongs to the case."""
        found = []
        folder = self.root / case
        inside = sorted(path for path in folder.iterdir() if path.is_file()) if folder.is_dir() else []
        for path in (*inside, *self._flat):
            if path.name == f"{case}.csv":
                found.append(("landmarks.csv", path))
            elif path in inside:
                prefixed = _PREFIXED.fullmatch(path.name)
                found.append((prefixed.group(1) if prefixed else path.name.removeprefix(f"{case}_"), path))
            elif path.name.startswith(f"{case}_"):
                found.append((path.name.removeprefix(f"{case}_"), path))
        return found

    def files(self, case: str) -> ExternalFiles | None:
        """What there is for a case; None where there is nothing.

        Raises:
            WssamnetError: there are files, but it is not clear what they are.
        """
        candidates = self._candidates(case)
        folder = self.root / case
        ants = {role: _one(_matching(candidates, pattern), f"ANTs {role}") for role, pattern in _ANTS.items()}
        warp, affine, inverse = ants["warp"], ants["affine"], ants["inverse"]
        # ANTs: points go through the warp, then through the affine; back in the other order
        from_ants = {
            "pull-back": tuple(Part(path) for path in (warp, affine) if path is not None),
            "push-forward": tuple(
                part for part in (affine and Part(affine, inverted=True), inverse and Part(inverse)) if part
            ),
        }
        if warp is not None and inverse is None:
            from_ants["push-forward"] = ()  # the affine's inverse alone would not be the inverse
        if inverse is not None and warp is None:
            from_ants["pull-back"] = ()  # nor is the affine alone the inverse of both
        chains = {}
        for role in ("pull-back", "push-forward"):
            challenge = _one(_matching(candidates, _CHALLENGE[role]), role)
            chains[role] = _only(
                [_numbered(candidates, role), (Part(challenge),) if challenge else (), from_ants[role]], role
            )
        landmarks = _one([path for name, path in candidates if name == "landmarks.csv"], "landmark file")
        record = _one([path for name, path in candidates if name == "run.json"], "run.json")
        if landmarks is None and not any(chains.values()):
            if not folder.is_dir():
                return None
            raise WssamnetError("holds nothing that is known", folder, _KNOWN)
        return ExternalFiles(case, chains["pull-back"], chains["push-forward"], landmarks, record)


def _matching(candidates: list[tuple[str, Path]], pattern: re.Pattern[str]) -> list[Path]:
    return [path for name, path in candidates if pattern.fullmatch(name)]


def _one(paths: list[Path], what: str) -> Path | None:
    if len(paths) > 1:
        raise WssamnetError(f"is a second {what} beside {paths[0]}", paths[1], "one of them")
    return paths[0] if paths else None


def _numbered(candidates: list[tuple[str, Path]], role: str) -> tuple[Part, ...]:
    """``fixed_to_moving.*``, or ``fixed_to_moving_1.*`` and so on."""
    found: dict[int, Path] = {}
    for name, path in candidates:
        match = _NAMED[role].fullmatch(name)
        if match is None:
            continue
        number = int(match.group(1) or 0)
        if number in found or (0 in found) or (number == 0 and found):
            other = found.get(number, next(iter(found.values())))
            raise WssamnetError(f"is a second {role} beside {other}", path, "one file, or a chain _1, _2, …")
        found[number] = path
    if found and 0 not in found and sorted(found) != list(range(1, len(found) + 1)):
        numbers = ", ".join(map(str, sorted(found)))
        raise WssamnetError(f"the {role} has the parts {numbers}", found[min(found)], "1, 2, … without a gap")
    return tuple(Part(found[number]) for number in sorted(found))


def _only(chains: list[tuple[Part, ...]], role: str) -> tuple[Part, ...]:
    given = [chain for chain in chains if chain]
    if len(given) > 1:
        raise WssamnetError(f"is a second {role} beside {given[0][0].path}", given[1][0].path, "one of them")
    return given[0] if given else ()

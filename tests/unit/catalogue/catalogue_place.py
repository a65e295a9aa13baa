"""Where an entry of the catalogue plays: a small sound cohort to be harmed, and the words of one command."""

from __future__ import annotations

import gzip
import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from wssamnet.geometry import Frame, Grid
from wssamnet.images import Volume, read_image, write_image
from wssamnet.landmarks import Landmarks, write_landmarks

SHAPE = (20, 22, 18)
GRID = Grid(SHAPE, np.array([[-8.0, 0, 0, 0], [0, -8, 0, 239], [0, 0, 8, 0], [0, 0, 0, 1]]))
IJK = np.array([[10, 11, 9], [8, 10, 7], [12, 12, 10], [9, 13, 8], [11, 8, 11]])
POINTS = Landmarks((1, 2, 3, 4, 5), GRID.convert(IJK, Frame.IJK, Frame.LPS))
MODALITIES = ("t1ce", "t2")


def brain(seed: int = 0) -> np.ndarray:
    """A textured ellipsoid, int16, 0 outside."""
    axes = np.stack(np.meshgrid(*[np.linspace(-1, 1, n) for n in SHAPE], indexing="ij"))
    inside = (axes**2).sum(axis=0) < 0.7
    return (np.random.default_rng(seed).integers(100, 1000, SHAPE) * inside).astype(np.int16)


def write_sound_cohort(root: Path) -> None:
    """Two cases as BraTSReg lays them out."""
    for number, days in ((1, "0106"), (2, "0143")):
        name = f"BraTSReg_{number:03d}"
        for side, time_point in enumerate(("00_0000", f"01_{days}")):
            stem = root / name / f"{name}_{time_point}"
            for channel, modality in enumerate(MODALITIES):
                write_image(f"{stem}_{modality}.nii.gz", Volume(brain(number * 10 + side * 2 + channel), GRID))
            write_landmarks(f"{stem}_landmarks.csv", POINTS)


class Payload:
    """Makes a file when it is unpickled."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return Path.touch, (self.target,)


@dataclass
class Place:
    """A folder of one's own.

    Args:
        root: of everything.
        words: the command to be run; an entry may set its own.
        watched: what must not appear, because only a payload would make it.
        mounted: disks of its own.
    """

    root: Path
    words: list[object] = field(default_factory=list)
    watched: Path = Path()
    mounted: list[Path] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.watched = self.root / "payload-ran"
        self.check()

    @property
    def cohort(self) -> Path:
        return self.root / "cohort"

    @property
    def out(self) -> Path:
        return self.root / "out"

    def file(self, what: str, case: int = 1) -> Path:
        """For example "00_t1ce", "01_landmarks"."""
        visit, kind = what.split("_")
        days = "0000" if visit == "00" else {1: "0106", 2: "0143"}[case]
        ending = "csv" if kind == "landmarks" else "nii.gz"
        name = f"BraTSReg_{case:03d}"
        return self.cohort / name / f"{name}_{visit}_{days}_{kind}.{ending}"

    def check(self, source: Path | None = None, *more: object, split: Sequence[object] | None = None) -> None:
        """Let the command be ``wssamnet check``."""
        split = ("--test-ratio", 0.5) if split is None else split
        self.words = ["check", source or self.cohort, "--out", self.out, *split]
        self.words += ["--set", f"modalities={','.join(MODALITIES)}", *more]

    def register(self, *more: object) -> None:
        """Let the command be ``wssamnet register`` on the first case."""
        pair = ("--fixed", self.file("00_t1ce"), "--moving", self.file("01_t1ce"))
        self.words = ["register", *pair, "--out", self.out, "--refinement", "fast", *more]

    def sheet(self, text: str | bytes | None = None, **cells: object) -> Path:
        """A samplesheet that names the first case's files, with other `cells`, or with a text of its own."""
        names = {"case": "p1", "fixed_t1ce": self.file("00_t1ce"), "moving_t1ce": self.file("01_t1ce")}
        names |= {"fixed_landmarks": self.file("00_landmarks"), "moving_landmarks": self.file("01_landmarks")}
        rows = [names | cells, {side: str(name).replace("001", "002").replace("0106", "0143")
                                for side, name in names.items()} | {"case": "p2"}]  # fmt: skip
        path = self.root / "sheet.csv"
        lines = [",".join(rows[0]), *(",".join(map(str, row.values())) for row in rows)]
        content = "\n".join(lines) + "\n" if text is None else text
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        self.words = ["check", path, "--out", self.out, "--test-ratio", 0.5]
        return path

    def bids(self, sessions: Sequence[str] = ("pre", "post"), *more: object) -> Path:
        """The cohort under BIDS's names, each visit as the session of that place."""
        root = self.root / "bids"
        for case in (1, 2):
            for visit, label in zip(("00", "01"), sessions, strict=False):
                folder = root / f"sub-{case:02d}" / f"ses-{label}" / "anat"
                folder.mkdir(parents=True)
                stem = f"sub-{case:02d}_ses-{label}"
                for kind, name in (("t1ce", "ce-gadolinium_T1w"), ("t2", "T2w"), ("landmarks", "landmarks")):
                    source = self.file(f"{visit}_{kind}", case)
                    ending = "csv" if kind == "landmarks" else "nii.gz"
                    shutil.copy(source, folder / f"{stem}_{name}.{ending}")
        self.check(root, *more)
        return root

    def disk(self, options: str, words: Sequence[object]) -> None:
        """Let the output be on a disk of its own, which only root can mount; `options` are mount's."""
        here = self.root / "disk"
        here.mkdir()
        mount = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(here)]
        if subprocess.run(mount, capture_output=True, check=False).returncode:
            pytest.skip("only root can mount a disk")
        self.mounted.append(here)
        self.words = list(words)

    def unmount(self) -> None:
        """Give back what `disk` mounted."""
        for here in self.mounted:
            subprocess.run(["umount", str(here)], check=True)

    # -- harm

    def raw(self, path: Path, edit: Callable[[bytearray], bytes | None]) -> Path:
        """Edit the unpacked bytes of a .nii.gz file in place."""
        content = bytearray(gzip.decompress(path.read_bytes()))
        edited = edit(content)
        path.write_bytes(gzip.compress(bytes(content) if edited is None else edited))
        return path

    def header(self, at: int, value: object, dtype: str, what: str = "00_t1ce") -> Path:
        """Write numbers into the header of one image, at a byte."""
        packed = np.array(value, dtype).tobytes()

        def edit(content: bytearray) -> None:
            content[at : at + len(packed)] = packed

        return self.raw(self.file(what), edit)

    def image(self, what: str, data: np.ndarray, affine: np.ndarray = GRID.affine, *, sform: int = 1, qform: int = 0,
              name: str | None = None) -> Path:  # fmt: skip
        """Put another image in the place of one."""
        path = self.file(what)
        if name is not None:
            path.unlink()
            path = path.with_name(name)
        image = nib.Nifti1Image(data, affine, dtype=data.dtype)
        image.set_sform(affine if sform else None, sform)
        image.set_qform(affine if qform else None, qform)
        nib.save(image, path)
        return path

    def voxels(self, what: str = "00_t1ce") -> np.ndarray:
        """The voxels of one image, in its own type."""
        return read_image(self.file(what), dtype=None).data

    def text(self, edit: Callable[[str], str | bytes], what: str = "00_landmarks") -> Path:
        """Edit a text file in place."""
        path = self.file(what)
        edited = edit(path.read_text())
        path.write_bytes(edited if isinstance(edited, bytes) else edited.encode())
        return path

    def moved(self, points: np.ndarray, what: str = "00_landmarks") -> Path:
        """Write other places for the landmarks of a scan."""
        write_landmarks(self.file(what), Landmarks(POINTS.ids, points))
        return self.file(what)


@dataclass(frozen=True)
class Entry:
    """One defect.

    Args:
        name: what is wrong or odd, for the table.
        make: does it, and chooses the command where that is not ``wssamnet check``.
        says: the line of the refusal, paths below `Place.root`, ``*`` for what may differ; None where it is accepted.
        accepted: what is made of it, for the table.
        right: fails unless the result is right; called after the command.
    """

    name: str
    make: Callable[[Place], object]
    says: str | None = None
    accepted: str = ""
    right: Callable[[Place], None] | None = None

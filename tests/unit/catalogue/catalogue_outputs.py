"""Entries: where results go, and the files of one pair."""

from __future__ import annotations

import contextlib
import json
import shutil

import numpy as np
from catalogue_place import GRID, POINTS, Entry, Place, brain
from catalogue_right import checked
from wssamnet.geometry import Grid
from wssamnet.images import Volume, read_grid, write_displacement, write_image
from wssamnet.landmarks import read_landmarks

REGISTERED = {"warped.nii.gz", "fixed_to_moving.nii.gz", "moving_to_fixed.nii.gz", "run.json", "planes.png"}


def registered(place: Place) -> None:
    """The result is whole, on the fixed grid."""
    assert {path.name for path in place.out.iterdir()} - {"landmarks.csv"} == REGISTERED
    assert read_grid(place.out / "warped.nii.gz").matches(read_grid(place.file("00_t1ce")))
    assert json.loads((place.out / "run.json").read_text())["regularity"]["folding"] == 0


def _left(place: Place, name: str) -> None:
    assert (place.out / name).read_text() == "years of work"


def _foreign(place: Place) -> None:
    place.out.mkdir()
    (place.out / "thesis.txt").write_text("years of work")


def _former(place: Place) -> object:
    place.out.mkdir()
    (place.out / "run.json").write_text(json.dumps({"command": "wssamnet register"}))
    (place.out / "warped_2.nii.gz").write_text("old")
    return place.register()


def _replaced(place: Place) -> None:
    registered(place)
    assert not (place.out / "warped_2.nii.gz").exists()


def _input_inside(place: Place) -> object:
    _former(place)
    shutil.copy(place.file("01_t1ce"), place.out / "warped.nii.gz")
    return place.register("--moving-mask", place.out / "warped.nii.gz")


def _prepare(place: Place, *more: object) -> None:
    """Let the command be ``wssamnet preprocess`` of the first case."""
    from wssamnet.cohort import read_cohort
    from wssamnet.files import write_json

    write_json(place.root / "case.json", read_cohort(place.cohort)[0].to_dict())
    place.words = ["preprocess", place.root / "case.json", "--out", place.out, "--set", "prealign=identity", *more]


def _own_folder(place: Place) -> object:
    (place.out / "BraTSReg_001").mkdir(parents=True)
    (place.out / "BraTSReg_001" / "thesis.txt").write_text("years of work")
    return _prepare(place)


def _apply(place: Place, out: object, **points: object) -> None:
    """Let the command be ``wssamnet apply`` of a field of 2 mm to the moving landmarks."""
    field = np.full((*GRID.shape, 3), 2, np.float32)
    write_displacement(place.root / "field.nii.gz", field, GRID)
    words = {"--transform": place.root / "field.nii.gz", "--points": place.file("01_landmarks"), "--out": out}
    place.words = ["apply", *[word for pair in (words | points).items() for word in pair]]


def _moved(place: Place) -> None:
    found = read_landmarks(place.root / "o.csv")
    np.testing.assert_allclose(found.points, POINTS.points + 2, atol=1e-3)


def _disk(place: Place, options: str, verb: str) -> None:
    """Let the output be on a disk that is full, or cannot be written."""
    if verb == "apply":
        _apply(place, place.root / "disk" / "o.csv")
    elif verb == "register":
        place.register()
    place.disk(options, place.words)
    if verb != "apply":
        p_out(place, "disk/out")
    if verb == "apply" and "ro" not in options:
        with contextlib.suppress(OSError), (place.root / "disk" / "filler").open("wb", buffering=0) as filler:
            while filler.write(bytes(4096)):
                pass


def _lesion(place: Place, data: np.ndarray, grid: Grid = GRID) -> object:
    write_image(place.root / "lesion.nii.gz", Volume(data.astype(np.uint8), grid))
    return place.register("--fixed-lesion", place.root / "lesion.nii.gz")


def _loop(place: Place) -> object:
    return place.out.symlink_to("out")


def p_out(place: Place, name: str) -> None:
    """Let the command write elsewhere."""
    place.words[place.words.index("--out") + 1] = place.root / name


def _landmark_frame(place: Place) -> None:
    registered(place)
    assert len(read_landmarks(place.out / "landmarks.csv")) == 5


def _ras(place: Place) -> object:
    rows = "".join(f"{n},{-x},{-y},{z}\n" for n, (x, y, z) in enumerate(POINTS.points, start=1))
    (place.root / "ras.csv").write_text("Landmark,X,Y,Z\n" + rows)
    return place.register("--landmarks", place.root / "ras.csv", "--landmark-coordinates", "ras")


OUTPUTS = [
    Entry("the output folder is a file", lambda p: p.out.write_text("x"),
        says="out: exists and is not a folder (another --out)"),
    Entry("the output folder lies below a file", lambda p: (p.out.write_text("x"), p_out(p, "out/deep/er")),
        says="out/deep/er: cannot be made, out is a file (another --out)"),
    Entry("the output folder is a link that leads nowhere", lambda p: p.out.symlink_to("nowhere"),
        says="out: is a link that leads nowhere (another --out)"),
    Entry("the output folder is a link that leads to itself", _loop,
        says="out: is a link that leads nowhere (another --out)"),
    Entry("the output folder's name is too long", lambda p: p_out(p, "o" * 300),
        says="o*: File name too long (another place)"),
    Entry("register: the output folder is a file", lambda p: (p.out.write_text("x"), p.register()),
        says="out: exists and is not a folder (another --out)"),
    Entry("register: the output folder holds foreign files", lambda p: (_foreign(p), p.register()),
        says="out: holds files that are no former result of this command: thesis.txt (another --out)"),
    Entry("register: the output folder holds an input", _input_inside,
        says="out: holds warped.nii.gz, one of the inputs, and would be replaced (another --out)"),
    Entry("register: the output folder holds the cohort's files", lambda p: (
        p.register(), p_out(p, "cohort/BraTSReg_001")),
        says="cohort/BraTSReg_001: holds files that are no former result of this command: "
             "BraTSReg_001_00_0000_landmarks.csv, BraTSReg_001_00_0000_t1ce.nii.gz, "
             "BraTSReg_001_00_0000_t2.nii.gz (another --out)"),
    Entry("preprocess: the case's folder holds foreign files", _own_folder,
        says="out/BraTSReg_001: exists and is not a prepared case (another output folder, or move it away)"),
    Entry("check: a disk that cannot be written", lambda p: _disk(p, "ro,size=64k", "check"),
        says="disk/out: cannot be written, disk is read-only (another --out)"),
    Entry("register: a disk that cannot be written", lambda p: _disk(p, "ro,size=64k", "register"),
        says="disk/out: cannot be written, disk is read-only (another --out)"),
    Entry("register: a disk that is too small", lambda p: _disk(p, "size=64k", "register"),
        says="disk/*: No space left on device (make room, or choose another place)"),
    Entry("apply: a disk that cannot be written", lambda p: _disk(p, "ro,size=64k", "apply"),
        says="disk/o.csv: cannot be written, disk is read-only (another --out)"),
    Entry("apply: a disk that is full", lambda p: _disk(p, "size=64k", "apply"),
        says="disk/o.csv: No space left on device (make room, or choose another place)"),
    Entry("apply: the output is the input", lambda p: _apply(p, p.file("01_landmarks")),
        says="BraTSReg_001_01_0106_landmarks.csv: is one of the inputs (another --out)"),
    Entry("apply: the output is a folder", lambda p: ((p.root / "o.csv").mkdir(), _apply(p, p.root / "o.csv")),
        says="o.csv: is a folder (the name of a file)"),
    Entry("apply: the output has another kind's ending", lambda p: _apply(p, p.root / "o.nii.gz"),
        says="o.nii.gz: has the wrong ending (.csv)"),
    Entry("apply: the output lies below a file", lambda p: (p.out.write_text("x"), _apply(p, p.out / "o.csv")),
        says="out/o.csv: cannot be made, out is a file (another --out)"),
    Entry("check: the output folder holds foreign files", _foreign, accepted="they are left alone",
          right=lambda p: (checked(p), _left(p, "thesis.txt"))),
    Entry("register: the output folder is a former result", _former, accepted="it is replaced as a whole",
          right=_replaced),
    Entry("apply: a new file in a new folder", lambda p: _apply(p, p.root / "o.csv"), accepted="it is made",
          right=_moved),
]  # fmt: skip

PAIR = [
    Entry("as many fixed as moving images are not given", lambda p: p.register("--fixed", p.file("00_t2")),
        says="--fixed, --moving: 2 fixed and 1 moving images were given (as many of each, the same modalities in "
             "the same order)"),
    Entry("a moving image that is not there", lambda p: (p.file("01_t1ce").unlink(), p.register()),
        says="BraTSReg_001_01_0106_t1ce.nii.gz: there is no such file (check the name)"),
    Entry("one file for both scans", lambda p: (
        p.register(), p.words.__setitem__(p.words.index("--moving") + 1, p.file("00_t1ce"))),
        says="BraTSReg_001_00_0000_t1ce.nii.gz: is given for both the fixed and the moving scan (a file for each)"),
    Entry("two modalities on different grids", lambda p: (
        write_image(p.file("01_t2"), Volume(brain(3)[:-1], GRID.crop((0, 0, 0), (19, 22, 18)))),
        p.register("--fixed", p.file("00_t2"), "--moving", p.file("01_t2"))),
        says="BraTSReg_001_01_0106_t2.nii.gz: is not on the grid of BraTSReg_001_01_0106_t1ce.nii.gz: (19, 22, "
             "18) voxels against (20, 22, 18) (one grid for all images of a time point)"),
    Entry("a lesion that is everywhere", lambda p: _lesion(p, np.ones(GRID.shape)),
        says="lesion.nii.gz: excludes every voxel (1 in the lesion, 0 elsewhere)"),
    Entry("a lesion on another grid", lambda p: _lesion(
        p, np.ones((19, 22, 18)), GRID.crop((0, 0, 0), (19, 22, 18))),
        says="lesion.nii.gz: is not on the grid of its image (the voxels of BraTSReg_001_00_0000_t1ce.nii.gz)"),
    Entry("landmarks of a header alone", lambda p: (
        p.text(lambda t: "Landmark,X,Y,Z\n", "01_landmarks"), p.register("--landmarks", p.file("01_landmarks"))),
        says="BraTSReg_001_01_0106_landmarks.csv: holds no landmark (at least one row below the header)"),
    Entry("an empty lesion", lambda p: _lesion(p, np.zeros(GRID.shape)), accepted="as without one", right=registered),
    Entry("landmarks in RAS, and said so", _ras, accepted="LPS in the result", right=_landmark_frame),
]  # fmt: skip

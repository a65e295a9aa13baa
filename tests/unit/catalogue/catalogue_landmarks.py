"""Entries: landmark files."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from catalogue_place import GRID, IJK, POINTS, Entry, Place
from catalogue_right import as_sound, checked
from wssamnet.geometry import Frame

RAS = POINTS.points * (-1, -1, 1)


def _one_far(place: Place) -> object:
    points = POINTS.points.copy()
    points[1] += 1000
    return place.moved(points)


def _in_all(place: Place, points: np.ndarray, said: str) -> object:
    """The landmarks of every scan in another frame, and what is said of it."""
    for case in (1, 2):
        for visit in ("00", "01"):
            path = place.file(f"{visit}_landmarks", case)
            rows = [",".join(map(repr, row)) for row in points.tolist()]
            path.write_text("Landmark,X,Y,Z\n" + "".join(f"{n},{row}\n" for n, row in enumerate(rows, start=1)))
    return place.check(place.cohort, "--landmark-coordinates", said)


def _tabs(place: Place) -> object:
    path = place.file("00_landmarks")
    path.with_suffix(".tsv").write_text(path.read_text().replace(",", "\t"))
    return place.sheet(fixed_landmarks=path.with_suffix(".tsv"))


def _tabs_in_csv(place: Place) -> object:
    return place.text(lambda t: t.replace(",", "\t"))


def _pipe(place: Place) -> object:
    os.mkfifo(place.root / "marks.csv")
    return place.sheet(fixed_landmarks=place.root / "marks.csv")


def _loop(place: Place) -> object:
    path = place.root / "marks.csv"
    path.symlink_to(path.name)
    return place.sheet(fixed_landmarks=path)


def _huge(place: Place) -> object:
    with place.file("00_landmarks").open("r+b") as stream:
        stream.truncate(1 << 33)
    return None


def _unlink(path: Path) -> object:
    path.unlink()
    return None


ENTRIES = [
    Entry("voxel indices, and not said so", lambda p: p.moved(IJK.astype(float)),
        says="BraTSReg_001_00_0000_landmarks.csv: all 5 landmarks lie outside the image (they look like voxel "
             "indices; LPS millimetres, or say --landmark-coordinates voxel)"),
    Entry("RAS, and not said so", lambda p: p.moved(RAS),
        says="BraTSReg_001_00_0000_landmarks.csv: all 5 landmarks lie outside the image (they look like RAS "
             "millimetres; LPS millimetres, or say --landmark-coordinates ras)"),
    Entry("LPS, and said to be RAS", lambda p: (
        _in_all(p, POINTS.points, "ras"), [p.file(w, 2).unlink() for w in ("00_landmarks", "01_landmarks")],
        p.file("01_landmarks").write_text("Landmark,X,Y,Z\n" + "".join(
            f"{n},{x},{y},{z}\n" for n, (x, y, z) in enumerate(RAS, start=1)))),
        says="BraTSReg_001_00_0000_landmarks.csv: all 5 landmarks lie outside the image (they look like LPS "
             "millimetres; RAS millimetres, or say --landmark-coordinates lps)"),
    Entry("far outside the image", lambda p: p.moved(POINTS.points + 1000),
        says="BraTSReg_001_00_0000_landmarks.csv: all 5 landmarks lie outside the image (LPS millimetres; the "
             "image reaches from X 0 to 152, Y -239 to -71, Z 0 to 136)"),
    Entry("one of five outside the image", _one_far,
        says="BraTSReg_001_00_0000_landmarks.csv: 1 of 5 landmarks lie outside the image: 2 (LPS millimetres "
             "inside it)"),
    Entry("on background", lambda p: p.moved(
        GRID.convert(np.array([[0, 0, n] for n in range(5)]), Frame.IJK, Frame.LPS)),
        says="BraTSReg_001_00_0000_landmarks.csv: 5 of 5 landmarks lie on background of the image (LPS "
             "millimetres, of this scan)"),
    Entry("an empty file", lambda p: p.text(lambda t: ""),
        says="BraTSReg_001_00_0000_landmarks.csv: is empty (the first line must be Landmark,X,Y,Z with commas)"),
    Entry("only a header", lambda p: p.text(lambda t: t.splitlines()[0] + "\n"),
        says="BraTSReg_001_00_0000_landmarks.csv: holds no landmark (at least one row below the header)"),
    Entry("no header", lambda p: p.text(lambda t: t.split("\n", 1)[1]),
        says="BraTSReg_001_00_0000_landmarks.csv: the header is '1,80.0000,-151.0000,72.0000' (the first line "
             "must be Landmark,X,Y,Z with commas)"),
    Entry("other names of columns", lambda p: p.text(lambda t: t.replace("Landmark,X,Y,Z", "id,x_mm,y_mm,z_mm")),
        says="BraTSReg_001_00_0000_landmarks.csv: the header is 'id,x_mm,y_mm,z_mm' (the first line must be "
             "Landmark,X,Y,Z with commas)"),
    Entry("a column is missing", lambda p: p.text(
        lambda t: "\n".join(line.rpartition(",")[0] for line in t.splitlines())),
        says="BraTSReg_001_00_0000_landmarks.csv: the header is 'Landmark,X,Y' (the first line must be "
             "Landmark,X,Y,Z with commas)"),
    Entry("columns in another order", lambda p: p.text(lambda t: t.replace("X,Y,Z", "Z,Y,X")),
        says="BraTSReg_001_00_0000_landmarks.csv: the header is 'Landmark,Z,Y,X' (the first line must be "
             "Landmark,X,Y,Z with commas)"),
    Entry("semicolons", lambda p: p.text(lambda t: t.replace(",", ";")),
        says="BraTSReg_001_00_0000_landmarks.csv: the header is 'Landmark;X;Y;Z' (the first line must be "
             "Landmark,X,Y,Z with commas)"),
    Entry("tabs in a .csv", _tabs_in_csv,
        says="BraTSReg_001_00_0000_landmarks.csv: the header is 'Landmark\\tX\\tY\\tZ' (the first line must be "
             "Landmark,X,Y,Z with commas)"),
    Entry("decimal commas", lambda p: p.text(lambda t: t.replace(".", ",")),
        says="BraTSReg_001_00_0000_landmarks.csv: line 2 has 7 values (4: id, X, Y, Z; decimal points, not commas)"),
    Entry("a row with three values", lambda p: p.text(lambda t: t + "6,80,120\n"),
        says="BraTSReg_001_00_0000_landmarks.csv: line 7 has 3 values (4: id, X, Y, Z in LPS mm)"),
    Entry("text in place of a number", lambda p: p.text(lambda t: t + "6,80,120,north\n"),
        says="BraTSReg_001_00_0000_landmarks.csv: line 7 is '6,80,120,north' (a whole id and three numbers)"),
    Entry("a number is missing", lambda p: p.text(lambda t: t + "6,80,,60\n"),
        says="BraTSReg_001_00_0000_landmarks.csv: line 7 is '6,80,,60' (a whole id and three numbers)"),
    Entry("grouped digits", lambda p: p.text(lambda t: t + "6,80,1_20,60\n"),
        says="BraTSReg_001_00_0000_landmarks.csv: line 7 is '6,80,1_20,60' (a whole id and three numbers)"),
    Entry("a coordinate that is infinite", lambda p: p.text(lambda t: t + "6,80,-inf,60\n"),
        says="BraTSReg_001_00_0000_landmarks.csv: line 7 holds a value that is not finite (three finite numbers, "
             "LPS mm)"),
    Entry("a coordinate that is NaN", lambda p: p.text(lambda t: t + "6,80,nan,60\n"),
        says="BraTSReg_001_00_0000_landmarks.csv: line 7 holds a value that is not finite (three finite numbers, "
             "LPS mm)"),
    Entry("a fractional id", lambda p: p.text(lambda t: t + "6.5,80,120,60\n"),
        says="BraTSReg_001_00_0000_landmarks.csv: line 7 is '6.5,80,120,60' (a whole id and three numbers)"),
    Entry("an id twice", lambda p: p.text(lambda t: t.replace("\n3,", "\n2,")),
        says="BraTSReg_001_00_0000_landmarks.csv: landmark 2 occurs twice (every id once)"),
    Entry("an id that the other scan does not have", lambda p: p.text(
        lambda t: t + t.splitlines()[1].replace("1,", "9,", 1) + "\n"),
        says="BraTSReg_001_00_0000_landmarks.csv: landmarks 9 are not in the other scan's file (the same ids in both)"),
    Entry("binary content", lambda p: p.text(lambda t: b"\x89PNG\r\n\x1a\n" + bytes(range(256))),
        says="BraTSReg_001_00_0000_landmarks.csv: is not a text file (a CSV file in UTF-8)"),
    Entry("UTF-16", lambda p: p.text(lambda t: t.encode("utf-16")),
        says="BraTSReg_001_00_0000_landmarks.csv: is not a text file (a CSV file in UTF-8)"),
    Entry("a null character", lambda p: p.text(lambda t: t + "6,80,12\x000,60\n"),
        says="BraTSReg_001_00_0000_landmarks.csv: line 7 is '6,80,12\\x000,60' (a whole id and three numbers)"),
    Entry("a value of 200000 digits", lambda p: p.text(lambda t: t + '6,"' + "1" * 200_000 + '",0,0\n'),
        says="BraTSReg_001_00_0000_landmarks.csv: is not a CSV file: field larger than field limit (131072) "
             "(Landmark,X,Y,Z and one row a landmark)"),
    Entry("a file of 8 GiB", _huge,
        says="BraTSReg_001_00_0000_landmarks.csv: holds 8192 MiB (a CSV file of landmarks)"),
    Entry("a named pipe in place of a file", _pipe,
        says="marks.csv: is not a regular file (a readable CSV file)"),
    Entry("a link that leads to itself", _loop,
        says="marks.csv: is a link that leads nowhere (a readable CSV file)"),
    Entry("a folder in place of a file", lambda p: p.sheet(fixed_landmarks=p.cohort),
        says="cohort: is a folder (a readable CSV file)"),
    Entry("fixed landmarks and no moving ones", lambda p: _unlink(p.file("01_landmarks")),
        says="case 'BraTSReg_001': has fixed landmarks but no moving ones (both, or the moving ones alone)"),
    Entry("a training case without landmarks of the fixed scan", lambda p: (
        _unlink(p.file("00_landmarks")), p.check(split=("--test-cases", "BraTSReg_002"))),
        says="case 'BraTSReg_001': is a training case without landmarks of both scans (add the files, or name it "
             "among the test cases)"),
    Entry("a byte order mark", lambda p: p.text(lambda t: "\ufeff" + t), accepted="as without", right=as_sound),
    Entry("CRLF", lambda p: p.text(lambda t: t.replace("\n", "\r\n")), accepted="as LF", right=as_sound),
    Entry("CR alone", lambda p: p.text(lambda t: t.replace("\n", "\r")), accepted="as LF", right=as_sound),
    Entry("spaces after commas, as the challenge's own files have them", lambda p: p.text(
        lambda t: t.replace(",", ", ")), accepted="as without", right=as_sound),
    Entry("quotes", lambda p: p.text(lambda t: "\n".join(
        ",".join(f'"{cell}"' for cell in line.split(",")) for line in t.splitlines())),
        accepted="as without", right=as_sound),
    Entry("empty rows", lambda p: p.text(lambda t: t.replace("\n", "\n,,,\n\n")), accepted="passed over",
          right=as_sound),
    Entry("a header in lower case", lambda p: p.text(str.lower), accepted="as the usual one", right=as_sound),
    Entry("tabs in a .tsv", _tabs, accepted="as commas in a .csv", right=as_sound),
    Entry("RAS, and said so", lambda p: _in_all(p, RAS, "ras"), accepted="the same landmarks", right=as_sound),
    Entry("voxel indices, and said so", lambda p: _in_all(p, IJK.astype(float), "voxel"),
          accepted="the same landmarks", right=as_sound),
    Entry("a test case without landmarks of the fixed scan", lambda p: (
        _unlink(p.file("00_landmarks")), p.check(split=("--test-cases", "BraTSReg_001"))),
        accepted="registered, not judged, and told", right=checked),
]  # fmt: skip

"""Landmark files: the challenge's oddities are read, everything else is refused in one clear line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from wssamnet.errors import LandmarkError
from wssamnet.landmarks import Landmarks, read_landmarks, write_landmarks


def _file(folder: Path, content: str | bytes) -> Path:
    path = folder / "marks.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize(
    "content",
    [
        "Landmark,X,Y,Z\n1,155.0,-68.0,93.0\n3,1,2,3e1\n",
        "\ufeffLandmark,X,Y,Z\r\n1,155.0,-68.0,93.0\r\n3,1,2,30\r\n",
        "Landmark, X, Y, Z\n1, 155.0, -68.0, 93.0\n\n 3 ,1,2,30\n\n",
        "landmark,x,y,z\r1,155.0,-68.0,93.0\r3,1,2,30",
        '"Landmark","X","Y","Z"\n"1","155.0","-68.0","93.0"\n,,,\n3,1,2,30\n',
    ],
    ids=["plain", "BOM and CRLF", "spaces and blank lines", "lower case and CR", "quotes and an empty row"],
)
def test_read(tmp_path: Path, content: str) -> None:
    landmarks = read_landmarks(_file(tmp_path, content))
    assert landmarks.ids == (1, 3)
    assert len(landmarks) == 2
    np.testing.assert_array_equal(landmarks.points, [[155, -68, 93], [1, 2, 30]])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is empty (the first line must be Landmark,X,Y,Z with commas)"),
        ("1,2,3,4\n", "the header is '1,2,3,4' (the first line must be Landmark,X,Y,Z with commas)"),
        ("Landmark;X;Y;Z\n1;2;3;4\n", "the header is 'Landmark;X;Y;Z' (the first line must be"),
        ("Landmark,Y,X,Z\n1,2,3,4\n", "the header is 'Landmark,Y,X,Z'"),
        ("Landmark,X,Y,Z\n", "holds no landmark (at least one row below the header)"),
        ("Landmark,X,Y,Z\n\n1,2,3\n", "line 3 has 3 values (4: id, X, Y, Z in LPS mm)"),
        ("Landmark,X,Y,Z\n1,2,3,4,5\n", "line 2 has 5 values"),
        ("Landmark,X,Y,Z\n1,2,3,north\n", "line 2 is '1,2,3,north' (a whole id and three numbers)"),
        ("Landmark,X,Y,Z\n1,2,3,\n", "line 2 is '1,2,3,' (a whole id"),
        ("Landmark,X,Y,Z\n1.5,2,3,4\n", "line 2 is '1.5,2,3,4' (a whole id"),
        ("Landmark,X,Y,Z\n1,2,nan,4\n", "line 2 holds a value that is not finite (three finite numbers"),
        ("Landmark,X,Y,Z\n1,2,3,inf\n", "line 2 holds a value that is not finite"),
        ("Landmark,X,Y,Z\n7,2,3,4\n7,2,3,5\n", "landmark 7 occurs twice (every id once)"),
        (b"Landmark,X,Y,Z\n1,2,3,\xff\n", "is not a text file (a CSV file in UTF-8)"),
        ('Landmark,X,Y,Z\n"' + "1" * 140_000 + '",2,3,4\n', "is not a CSV file: field larger than field limit"),
    ],
)
def test_refused(tmp_path: Path, content: str | bytes, message: str) -> None:
    path = _file(tmp_path, content)
    with pytest.raises(LandmarkError) as caught:
        read_landmarks(path)
    assert str(caught.value).startswith(f"{path}: {message}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("name", "message"), [("none.csv", "there is no such file"), (".", "is a folder")])
def test_not_a_file(tmp_path: Path, name: str, message: str) -> None:
    with pytest.raises(LandmarkError, match=message):
        read_landmarks(tmp_path / name)


@given(points=arrays(float, (5, 3), elements=st.floats(-1e4, 1e4)), first=st.integers(1, 1000))
def test_written_and_read_again(tmp_path_factory: pytest.TempPathFactory, points: np.ndarray, first: int) -> None:
    path = tmp_path_factory.mktemp("marks") / "deep" / "marks.csv"
    written = Landmarks(tuple(range(first, first + 5)), points)
    write_landmarks(path, written)
    again = read_landmarks(path)
    assert again.ids == written.ids
    np.testing.assert_allclose(again.points, points, atol=5.1e-5)
    assert path.read_text().splitlines()[0] == "Landmark,X,Y,Z"


def test_select_follows_the_asked_order() -> None:
    landmarks = Landmarks((4, 2, 9), np.arange(9.0).reshape(3, 3))
    chosen = landmarks.select((9, 4))
    assert chosen.ids == (9, 4)
    np.testing.assert_array_equal(chosen.points, [[6, 7, 8], [0, 1, 2]])
    assert landmarks.select(()).points.shape == (0, 3)

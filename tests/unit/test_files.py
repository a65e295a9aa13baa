"""Files and folders appear whole or not at all."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from wssamnet.errors import WssamnetError
from wssamnet.files import folder_atomically, require_free, write_json, written_atomically


def test_moved_into_place_when_done(tmp_path: Path) -> None:
    target = tmp_path / "new" / "a.nii.gz"
    with written_atomically(target) as temporary:
        temporary.write_text("whole")
        assert not target.exists()
        assert temporary.name.endswith(".a.nii.gz"), "libraries choose the format by the ending"
    assert target.read_text() == "whole"
    assert list(target.parent.iterdir()) == [target]


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    target.write_text("old")

    def fail() -> None:
        with written_atomically(target) as temporary:
            temporary.write_text("half")
            raise RuntimeError("disk full")

    with pytest.raises(RuntimeError, match="disk full"):
        fail()
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_block_that_wrote_nothing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), written_atomically(tmp_path / "a.txt"):
        pass


def test_json_is_stable(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"b": 1, "a": [1.5, None]})
    text = (tmp_path / "a.json").read_text()
    assert json.loads(text) == {"a": [1.5, None], "b": 1}
    assert text.index('"a"') < text.index('"b"')
    assert text.endswith("}\n")
    with pytest.raises(TypeError):
        write_json(tmp_path / "a.json", {"a": object()})
    assert (tmp_path / "a.json").read_text() == text


def _former(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "weights").write_text("old")
    return folder


def test_a_folder_takes_the_place_of_the_former_one(tmp_path: Path) -> None:
    _former(tmp_path / "real")
    (tmp_path / "link").symlink_to("real")
    with folder_atomically(tmp_path / "link") as temporary:
        (temporary / "run.json").write_text("new")
        assert (tmp_path / "real" / "weights").read_text() == "old"
    assert [path.name for path in (tmp_path / "real").iterdir()] == ["run.json"]
    assert (tmp_path / "link").is_symlink()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "real"]


def test_a_failed_folder_leaves_the_former_one_or_nothing(tmp_path: Path) -> None:
    _former(tmp_path / "a")

    def fail(target: Path) -> None:
        with folder_atomically(target) as temporary:
            (temporary / "weights").write_text("half")
            raise RuntimeError("disk full")

    for target in (tmp_path / "a", tmp_path / "deep" / "er" / "b"):
        with pytest.raises(RuntimeError, match="disk full"):
            fail(target)
    assert (tmp_path / "a" / "weights").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_former_folder_comes_back_where_the_new_one_cannot_be_moved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target, rename = _former(tmp_path / "a"), Path.rename

    def stale(path: Path, to: Path) -> Path:
        if ".new." in path.name:
            raise OSError("Stale file handle")
        return rename(path, to)

    monkeypatch.setattr(Path, "rename", stale)
    with pytest.raises(OSError, match="Stale"), folder_atomically(target) as temporary:
        (temporary / "weights").write_text("new")
    assert (target / "weights").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


OWN, MARK = re.compile(r"weights|run\.json"), ("run.json", "stage", "b")


def test_a_former_result_may_be_replaced(tmp_path: Path) -> None:
    out = _former(tmp_path / "a")
    (out / "run.json").write_text('{"stage": "b"}')
    (tmp_path / "empty").mkdir()
    for free in (tmp_path / "new", tmp_path / "empty", out):
        require_free(free, OWN, MARK, [tmp_path / "input.nii.gz"])


@pytest.mark.parametrize(
    ("record", "more", "message"),
    [
        ('{"stage": "a"}', "", "holds files that are no former result of this command: run.json, weights"),
        ("[]", "", "holds files that are no former result"),
        ('{"stage": "b"}', "thesis.tex", "holds files that are no former result of this command: thesis.tex"),
    ],
)
def test_anything_else_is_not_replaced(tmp_path: Path, record: str, more: str, message: str) -> None:
    out = _former(tmp_path / "a")
    (out / "run.json").write_text(record)
    if more:
        (out / more).write_text("")
    with pytest.raises(WssamnetError, match=message):
        require_free(out, OWN, MARK)


def test_a_folder_that_cannot_be_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "a" / "b")
    for out in (Path(), tmp_path / "a"):
        with pytest.raises(WssamnetError, match="is the folder you are in, and would be replaced"):
            require_free(out, OWN, MARK)
    monkeypatch.chdir(tmp_path)
    out = _former(tmp_path / "c")
    (out / "run.json").write_text('{"stage": "b"}')
    for path in (out, out / "weights"):
        with pytest.raises(WssamnetError, match=f"c: holds {path.name}, one of the inputs, and would be replaced"):
            require_free(out, OWN, MARK, [path])
    monkeypatch.setattr(Path, "is_mount", lambda _: True)
    with pytest.raises(WssamnetError, match="is where a disk is mounted"):
        require_free(tmp_path / "a", OWN, MARK)

"""Files and folders that are there whole or not at all, names that lead nowhere else, places that can be written."""

from __future__ import annotations

import json
import os
import re
import shutil
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from wssamnet.errors import WssamnetError

FOLDER_NAME = "letters, digits, '.', '_' and '-', at most 100, a letter or digit first"
_FOLDER_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", re.ASCII)


def names_a_folder(name: str) -> bool:
    """Whether `name` is one folder everywhere, and so can lead nowhere else; see `FOLDER_NAME`."""
    return _FOLDER_NAME.fullmatch(name) is not None


def lacking(path: Path) -> str | None:
    """Why `path` is no file that can be read, for an error; None where it is one."""
    if path.is_file():
        return None
    if path.is_dir():
        return "is a folder"
    if path.exists():
        return "is not a regular file"
    return "is a link that leads nowhere" if path.is_symlink() else "there is no such file"


def leads_nowhere(path: Path) -> bool:
    """Whether `path` is a link to what is not there: content that was not fetched, a disk that is not mounted."""
    return path.is_symlink() and not path.exists()


def is_named(path: Path) -> bool:
    """Whether a folder names a file there; one that is not there behind its link is for `lacking` to tell."""
    return path.is_file() or leads_nowhere(path)


def require_writable(path: str | Path, remedy: str = "another --out") -> None:
    """Refuse a place that cannot be written, before any work; nothing is made.

    Args:
        path: a file or folder to be written, there or not.
        remedy: what would be right.

    Raises:
        WssamnetError: it is a broken link, lies below a file, or the file system does not let us write there.
    """
    path = Path(path)
    place = path if path.is_dir() else path.parent
    for part in (path, *path.parents):
        if leads_nowhere(part):
            raise WssamnetError("is a link that leads nowhere", part, remedy)
    while not place.exists():
        place = place.parent
    if not place.is_dir():
        raise WssamnetError(f"cannot be made, {place} is a file", path, remedy)
    if not os.access(place, os.W_OK | os.X_OK):
        raise WssamnetError(f"cannot be written, {place} is read-only", path, remedy)


def require_folder(out: Path, remedy: str = "another --out") -> None:
    """Refuse a folder that can be neither made nor written, before any work; nothing is made.

    Raises:
        WssamnetError: it is a file, or as of `require_writable`.
    """
    if out.exists() and not out.is_dir():
        raise WssamnetError("exists and is not a folder", out, remedy)
    require_writable(out, remedy)


def _says(record: Path, key: str, value: str) -> bool:
    try:
        content = json.loads(record.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(content, dict) and content.get(key) == value


def require_free(out: Path, own: re.Pattern[str], mark: tuple[str, str, str], inputs: Iterable[Path] = ()) -> None:
    """Refuse a folder that a result will replace as a whole, before any work, where anything would be lost.

    Args:
        out: the folder, there or not.
        own: names of the files of such a result.
        mark: file, key and value by which the record of a former result of the same command is known.
        inputs: files and folders that the command reads.

    Raises:
        WssamnetError: `out` is a file or a broken link, cannot be replaced, or holds an input, or anything that this
            command did not write.
    """
    require_folder(out)
    if not out.exists():
        return
    folder = out.resolve()
    if folder in (Path.cwd(), *Path.cwd().parents):
        raise WssamnetError("is the folder you are in, and would be replaced", out, "a new folder in it")
    if folder.is_mount():
        raise WssamnetError("is where a disk is mounted, and cannot be replaced", out, "a new folder in it")
    if not os.access(folder.parent, os.W_OK | os.X_OK):
        raise WssamnetError(f"cannot be replaced, {folder.parent} is read-only", out, "a new folder in it")
    content = sorted(path.name for path in out.iterdir())
    strange = [name for name in content if not own.fullmatch(name)]
    if content and (strange or not _says(out / mark[0], *mark[1:])):
        some = ", ".join((strange or content)[:3])
        raise WssamnetError(f"holds files that are no former result of this command: {some}", out, "another --out")
    for path in inputs:
        if folder in (path.resolve(), path.resolve().parent):
            raise WssamnetError(f"holds {path.name}, one of the inputs, and would be replaced", out, "another --out")


@contextmanager
def named_in_faults(path: Path) -> Iterator[None]:
    """Give a fault of the disk the name of the file that was being written, where it has none."""
    try:
        yield
    except OSError as error:
        if error.filename is None and error.errno is not None:
            error.filename = str(path)
        raise


@contextmanager
def written_atomically(path: str | Path) -> Iterator[Path]:
    """Yield a temporary name beside `path` that is moved into place when the block succeeds.

    A failed block leaves neither the temporary file nor a changed `path`.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{uuid.uuid4().hex[:8]}.{path.name}")
    try:
        with named_in_faults(path):
            yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def folder_atomically(target: str | Path) -> Iterator[Path]:
    """Yield a temporary folder that takes the place of `target` when the block succeeds.

    A failed block leaves nothing behind; it, or a folder that cannot be moved, leaves a former `target` as it was. A
    link keeps pointing to its folder.
    """
    target = Path(target).resolve()
    made = [folder for folder in target.parents if not folder.exists()]
    target.parent.mkdir(parents=True, exist_ok=True)
    mark = uuid.uuid4().hex[:8]
    fresh, former = (target.with_name(f".{mark}.{kind}.{target.name}") for kind in ("new", "old"))
    try:
        fresh.mkdir()
        yield fresh
        if target.exists():
            target.rename(former)
        try:
            fresh.rename(target)
        except OSError:
            if former.exists():
                former.rename(target)
            raise
        shutil.rmtree(former, ignore_errors=True)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
        for folder in made:
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()


def write_json(path: str | Path, content: Any) -> None:
    """Write indented JSON with sorted keys, whole or not at all."""
    with written_atomically(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", encoding="utf-8")

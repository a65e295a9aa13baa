"""Files and folders that are there whole or not at all, names that lead nowhere else, places that can be written."""

from __future__ import annotations

import json
import os
import re
import shutil
import uuid
from collections.abc import Iterator
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
        if part.is_symlink() and not part.exists():
            raise WssamnetError("is a link that leads nowhere", part, remedy)
    while not place.exists():
        place = place.parent
    if not place.is_dir():
        raise WssamnetError(f"cannot be made, {place} is a file", path, remedy)
    if not os.access(place, os.W_OK | os.X_OK):
        raise WssamnetError(f"cannot be written, {place} is read-only", path, remedy)


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

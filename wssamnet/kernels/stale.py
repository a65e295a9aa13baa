"""numba's cache kept to the sources that it was made from."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from pathlib import Path


def drop_other_sources(folder: Path) -> None:
    """Remove machine code that numba keeps beside kernels which have changed since.

    numba looks at the time of a kernel's own file alone; what it has taken into the code from another file (`rows`,
    `grids`) may be of an older version. Where nothing can be written, nothing is removed.
    """
    sources = hashlib.sha256(b"".join(path.read_bytes() for path in sorted(folder.glob("*.py")))).hexdigest()
    cache = folder / "__pycache__"
    known = cache / "kernels.sha256"
    with suppress(OSError):
        if known.is_file() and known.read_text(encoding="ascii") == sources:
            return
        for stale in cache.glob("*.nb[ic]"):
            stale.unlink(missing_ok=True)
        cache.mkdir(exist_ok=True)
        known.write_text(sources, encoding="ascii")

"""How the C library hands freed memory back to the system: not at all, while big arrays come and go."""

from __future__ import annotations

import ctypes
import os
import sys

# malloc.h of glibc
_TRIM_THRESHOLD, _MMAP_MAX = -1, -4


def keep_freed_memory() -> bool:
    """Tell the allocator to reuse the memory of big arrays instead of mapping and unmapping it.

    A fresh mapping costs a page fault for every 4 KiB, which for the tensors of a 3-D network is more than the
    arithmetic. Same effect as ``MALLOC_MMAP_MAX_=0`` and ``MALLOC_TRIM_THRESHOLD_`` in the environment, which have to
    be there before Python starts and win where they are. For the whole process, and it stays so: for programs
    that train or register, not for a library to do on import.

    Returns:
        whether it took effect: only glibc knows these settings.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
    if mallopt is None:
        return False
    done = True
    for name, option, value in (("MMAP_MAX", _MMAP_MAX, 0), ("TRIM_THRESHOLD", _TRIM_THRESHOLD, -1)):
        if f"MALLOC_{name}_" not in os.environ:
            done = bool(mallopt(option, value)) and done
    return done

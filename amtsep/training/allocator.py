"""Memory of a training step that is used again by the next one.

A step allocates and frees gigabytes in blocks of some megabytes. The C library of Linux gives such blocks back to the
system at once, and the next step has every page of them made and zeroed anew: on two cores two thirds of the time of a
step went there. See mallopt(3).
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable

M_TRIM_THRESHOLD, M_MMAP_MAX, M_ARENA_MAX = -1, -4, -8
"""Names that `malloc.h` has for them."""


def keep_memory() -> bool:
    """Have this process keep what it frees; true where the C library knows how (glibc)."""
    mallopt = _glibc("mallopt")
    if mallopt is None:
        return False
    # The backward pass runs in a thread of its own: with one arena it takes what the forward pass has freed.
    settings = {M_MMAP_MAX: 0, M_TRIM_THRESHOLD: 2**31 - 1, M_ARENA_MAX: 1}
    return min(mallopt(name, value) for name, value in settings.items()) == 1


def trim_memory() -> None:
    """Give back what lies unused between blocks in use: batches of many lengths leave ever more of it behind."""
    trim = _glibc("malloc_trim")
    if trim is not None:
        trim(0)


def _glibc(name: str) -> Callable[..., int] | None:
    """A function that only Linux's usual C library has, or None."""
    return getattr(ctypes.CDLL(None), name, None) if sys.platform.startswith("linux") else None

"""Memory: a bound on what one step may add, and what is free given back to the system, where it can be."""

import ctypes
import mmap
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_STATUS, _PAGES = Path("/proc/self/status"), Path("/proc/self/statm")


@contextmanager
def at_most(more: int) -> Iterator[None]:
    """Let this process allocate at most ``more`` further bytes meanwhile; beyond it allocations fail.

    Linux only: elsewhere nothing is bounded.

    Args:
        more: bytes of writable private memory (RLIMIT_DATA), beside what there is.
    """
    if sys.platform != "linux":
        yield
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    limit = _data_bytes() + more
    if hard != resource.RLIM_INFINITY:
        limit = min(limit, hard)
    if soft != resource.RLIM_INFINITY:
        limit = min(limit, soft)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


def resident() -> int:
    """Return the bytes of memory that this process holds; 0 where the system does not say."""
    try:
        return int(_PAGES.read_text("ascii").split()[1]) * mmap.PAGESIZE
    except OSError:
        return 0


def give_back() -> None:
    """Give the pages of freed memory back to the system; glibc keeps them else. Elsewhere nothing is done."""
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "malloc_trim"):
        libc.malloc_trim(0)


def _data_bytes() -> int:
    line = next(line for line in _STATUS.read_text("ascii").splitlines() if line.startswith("VmData:"))
    return int(line.split()[1]) * 1024

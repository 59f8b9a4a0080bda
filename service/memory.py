"""Memory: a bound on what one step may add, where the system can set one."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_STATUS = Path("/proc/self/status")


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


def _data_bytes() -> int:
    line = next(line for line in _STATUS.read_text("ascii").splitlines() if line.startswith("VmData:"))
    return int(line.split()[1]) * 1024

"""Resources of this process: the CPUs and the memory that it may use."""

import ctypes
import math
import mmap
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

_SYSTEM = Path("/")
_STATUS, _PAGES = Path("/proc/self/status"), Path("/proc/self/statm")


def cpu_count(root: Path = _SYSTEM) -> int:
    """Return how many processors this process can keep busy, at least 1.

    The smaller of the affinity mask's size and the CPU quota of the process's control group and of
    every group above it (``cpu.max`` of cgroup v2, ``cpu.cfs_quota_us`` of v1), rounded up: a
    container with 1.5 processors keeps 2 threads busy most of the time.

    Args:
        root: where ``proc`` and ``sys`` are looked for.
    """
    counts = [math.ceil(quota) for quota in _quotas(root)]
    return max(1, min([_affinity(), *counts]))


def _affinity() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _quotas(root: Path) -> Iterator[float]:
    """Yield every quota that holds for this process, in processors."""
    mount = root / "sys/fs/cgroup"
    for line in _text(root / "proc/self/cgroup").splitlines():
        number, controllers, path = line.split(":", 2)
        if number == "0":
            # "unified" is where systems that run both versions mount version 2.
            for base in (mount, mount / "unified"):
                yield from _every_level(base, path, _quota_v2)
        elif "cpu" in controllers.split(","):
            for base in (mount / controllers, mount / "cpu"):
                yield from _every_level(base, path, _quota_v1)


def _every_level(base: Path, path: str, quota_of: Callable[[Path], float | None]) -> Iterator[float]:
    """Yield the quotas of a group and of those above it.

    In a container the path may name a group of the host that is not mounted here; the mount's own
    root is then the container's group.
    """
    folder = base / path.strip("/")
    while True:
        quota = quota_of(folder)
        if quota is not None and quota > 0:
            yield quota
        if folder in (base, folder.parent):
            return
        folder = folder.parent


def _quota_v2(folder: Path) -> float | None:
    match _text(folder / "cpu.max").split():
        case [quota, period] if quota != "max":
            return int(quota) / int(period)
    return None


def _quota_v1(folder: Path) -> float | None:
    quota, period = _text(folder / "cpu.cfs_quota_us"), _text(folder / "cpu.cfs_period_us")
    return int(quota) / int(period) if quota.strip() not in ("", "-1") and period.strip() else None


def _text(path: Path) -> str:
    try:
        return path.read_text("ascii")
    except (OSError, ValueError):
        return ""


@contextmanager
def memory_limit(extra: int) -> Iterator[None]:
    """Let this process allocate at most ``extra`` further bytes meanwhile; beyond it allocations fail.

    Linux only: elsewhere nothing is bounded.

    Args:
        extra: bytes of writable private memory (RLIMIT_DATA), beside what there is.
    """
    if sys.platform != "linux":
        yield
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    limit = _data_bytes() + extra
    if hard != resource.RLIM_INFINITY:
        limit = min(limit, hard)
    if soft != resource.RLIM_INFINITY:
        limit = min(limit, soft)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


def resident_bytes() -> int:
    """Return the bytes of memory that this process holds; 0 where the system does not say."""
    try:
        return int(_PAGES.read_text("ascii").split()[1]) * mmap.PAGESIZE
    except OSError:
        return 0


def release_free_memory() -> None:
    """Give the pages of freed memory back to the system; glibc keeps them else. Elsewhere nothing is done."""
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "malloc_trim"):
        libc.malloc_trim(0)


def _data_bytes() -> int:
    line = next(line for line in _STATUS.read_text("ascii").splitlines() if line.startswith("VmData:"))
    return int(line.split()[1]) * 1024

"""Processors and memory available to this process."""

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
    """Return the number of processors that this process can keep busy, at least 1.

    This is the smallest of the size of the affinity mask and the CPU quotas of the process's control group
    and its ancestors (``cpu.max`` of cgroup v2, ``cpu.cfs_quota_us`` of v1), rounded up: a container with
    1.5 processors keeps 2 threads busy most of the time.

    Args:
        root: folder that contains ``proc`` and ``sys``.
    """
    counts = [math.ceil(quota) for quota in _quotas(root)]
    return max(1, min([_affinity(), *counts]))


def _affinity() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _quotas(root: Path) -> Iterator[float]:
    """Yield every CPU quota that applies to this process, in processors."""
    mount = root / "sys/fs/cgroup"
    for line in _text(root / "proc/self/cgroup").splitlines():
        number, controllers, path = line.split(":", 2)
        if number == "0":
            # Systems that run both versions mount version 2 at "unified".
            for base in (mount, mount / "unified"):
                yield from _group_quotas(base, path, _quota_v2)
        elif "cpu" in controllers.split(","):
            for base in (mount / controllers, mount / "cpu"):
                yield from _group_quotas(base, path, _quota_v1)


def _group_quotas(base: Path, path: str, quota_of: Callable[[Path], float | None]) -> Iterator[float]:
    """Yield the quotas of a group and its ancestors.

    In a container the path may name a group of the host that is not mounted here; the root of the mount is then
    the container's group.
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
    """Limit this process to ``extra`` further bytes of memory inside the context; larger allocations fail.

    Linux only; elsewhere there is no limit.

    Args:
        extra: bytes of writable private memory (RLIMIT_DATA), in addition to the current use.
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
    """Return the resident memory of this process in bytes; 0 where the system does not report it."""
    try:
        return int(_PAGES.read_text("ascii").split()[1]) * mmap.PAGESIZE
    except OSError:
        return 0


def release_free_memory() -> None:
    """Return freed memory, which glibc otherwise keeps, to the system; does nothing with other C libraries."""
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "malloc_trim"):
        libc.malloc_trim(0)


def _data_bytes() -> int:
    line = next(line for line in _STATUS.read_text("ascii").splitlines() if line.startswith("VmData:"))
    return int(line.split()[1]) * 1024

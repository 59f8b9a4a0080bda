"""Start and confine the child processes that read hostile files."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

_PROJECT_ROOT: Final = Path(__file__).resolve().parents[2]
_MAX_OPEN_FILES: Final = 16


def command(module: str) -> list[str]:
    """Return the command line of a reader process; ``-P`` keeps the current folder off the import path."""
    return [sys.executable, "-P", "-m", module]


def environment() -> dict[str, str]:
    """Return a minimal environment: enough to find the packages, without keys or collector addresses."""
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "LANG", "SYSTEMROOT", "TMPDIR")}
    paths = [str(_PROJECT_ROOT), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    return kept | {"PYTHONPATH": os.pathsep.join(map(os.path.abspath, paths))}


@contextmanager
def null_descriptor() -> Iterator[int]:
    """Yield a descriptor of the null device for a child's standard error, whose output would break the JSON log.

    It is read-only, so nothing is opened for writing.
    """
    descriptor = os.open(os.devnull, os.O_RDONLY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def confine(max_memory_bytes: int, processor_s: int | None = None) -> None:
    """Limit this process permanently, including that it cannot write files. Does nothing on Windows.

    Args:
        max_memory_bytes: maximum address space, bytes.
        processor_s: maximum CPU time, seconds; None: no limit.
    """
    if sys.platform == "win32":
        return
    import resource

    limits = {"RLIMIT_AS": max_memory_bytes, "RLIMIT_FSIZE": 0, "RLIMIT_CORE": 0, "RLIMIT_NOFILE": _MAX_OPEN_FILES}
    if processor_s is not None:
        limits["RLIMIT_CPU"] = processor_s
    for name, value in limits.items():
        resource_id = getattr(resource, name)
        _, hard = resource.getrlimit(resource_id)
        limit = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(resource_id, (limit, limit))

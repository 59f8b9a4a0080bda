"""Confined: processes that read what may be hostile, so that it is they who are lost if it is."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

_PACKAGES: Final = Path(__file__).resolve().parents[2]
_OPEN_FILES: Final = 16


def command(module: str) -> list[str]:
    """Return what starts such a process; code that lies in the current folder has no part in it."""
    return [sys.executable, "-P", "-m", module]


def environment() -> dict[str, str]:
    """Return what such a process needs of this one's: to find its packages, and no key or address of a collector."""
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "LANG", "SYSTEMROOT", "TMPDIR")}
    places = [str(_PACKAGES), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    return kept | {"PYTHONPATH": os.pathsep.join(map(os.path.abspath, places))}


@contextmanager
def nowhere() -> Iterator[int]:
    """Yield what such a process gets for its standard error: the library's noise would break the log.

    It is open for reading alone, so that not even nothing is opened for writing.
    """
    descriptor = os.open(os.devnull, os.O_RDONLY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def confine(memory: int, processor_s: int | None = None) -> None:
    """Bound this process for good: it can write no file either.

    Args:
        memory: most address space, bytes.
        processor_s: most processor time, seconds; None: no limit.
    """
    if sys.platform == "win32":
        return
    import resource

    bounds = {"RLIMIT_AS": memory, "RLIMIT_FSIZE": 0, "RLIMIT_CORE": 0, "RLIMIT_NOFILE": _OPEN_FILES}
    if processor_s is not None:
        bounds["RLIMIT_CPU"] = processor_s
    for name, value in bounds.items():
        kind = getattr(resource, name)
        _, hard = resource.getrlimit(kind)
        most = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(kind, (most, most))

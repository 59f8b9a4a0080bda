"""How many processors this process may use."""

import os


def processors() -> int:
    """Return the size of the affinity mask where the system has one (Linux), else the host's count."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1

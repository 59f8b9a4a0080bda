"""What a server and the processes that it started cost, as Linux accounts it."""

import os
from dataclasses import dataclass
from pathlib import Path

_TICK_MS = 1000 / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Cost:
    """Of a whole tree of processes: milliseconds of CPU so far, and MiB now and at most.

    Shared pages count once for every process that has them, so a tree of forks looks a little larger than it is.
    """

    cpu_ms: float
    resident_mib: float
    peak_mib: float


def tree(pid: int) -> list[int]:
    """Return a process and all its descendants."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        parents.setdefault(parent, []).append(int(entry.name))
    pids, left = [], [pid]
    while left:
        pids.append(left.pop())
        left += parents.get(pids[-1], [])
    return pids


def cost(pid: int) -> Cost:
    """Return what a process and its descendants that still live have cost."""
    ticks, resident, peak = 0, 0.0, 0.0
    for process in tree(pid):
        folder = Path("/proc") / str(process)
        try:
            # User and system time, and those of children that have ended.
            ticks += sum(map(int, (folder / "stat").read_text().rpartition(")")[2].split()[11:15]))
            status = dict(line.split(":", 1) for line in (folder / "status").read_text().splitlines())
        except OSError:
            continue
        resident += int(status.get("VmRSS", "0 kB").split()[0]) / 1024
        peak += int(status.get("VmHWM", "0 kB").split()[0]) / 1024
    return Cost(ticks * _TICK_MS, resident, peak)

"""``python -m tests.fuzz [TARGET...] [--seconds N]``: search for inputs that break a target, guided by coverage.

Each target runs in a process of its own; what breaks it, hangs for 10 seconds or takes 2 GiB is kept in
``build/fuzz/TARGET-…`` and makes the exit status 1. What is new to the search stays in ``build/fuzz/corpus``, so that a
later one goes on from it.
"""

import argparse
import re
import subprocess
import sys
from pathlib import Path

from tests.fuzz.targets import CORPUS, TARGETS

KEPT = Path("build/fuzz")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"of {', '.join(TARGETS)}; default: all")
    parser.add_argument("--seconds", type=int, default=120, help="for all targets together")
    chosen = parser.parse_args()
    if unknown := set(chosen.targets) - set(TARGETS):
        parser.error(f"no target {', '.join(sorted(unknown))}: there are {', '.join(TARGETS)}")
    names = chosen.targets or list(TARGETS)
    return max(search(name, max(1, chosen.seconds // len(names))) for name in names)


def search(name: str, seconds: int) -> int:
    """Search one target; return 0, or 1 where it broke."""
    new = KEPT / "corpus" / name
    new.mkdir(parents=True, exist_ok=True)
    flags = [
        f"-max_total_time={seconds}",
        "-timeout=10",
        "-rss_limit_mb=2048",
        "-max_len=65536",
        "-print_final_stats=1",
        f"-artifact_prefix={KEPT}/{name}-",
    ]
    command = [sys.executable, "-m", "tests.fuzz.search", name, *flags, str(new), str(CORPUS / name)]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    covered = re.findall(r"cov: (\d+) ft: (\d+)", done.stderr)
    runs = re.search(r"stat::number_of_executed_units:\s*(\d+)", done.stderr)
    if done.returncode or not runs:
        print(f"{name}: broke\n{done.stderr[-4000:]}")
        return 1
    print(
        f"{name}: {runs[1]} inputs in {seconds} s, {covered[-1][0]} branches, {covered[-1][1]} features, nothing broke"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())

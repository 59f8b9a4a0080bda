"""``service score`` as a person runs it, and what it leaves."""

import json
import signal
import subprocess
import sys
from pathlib import Path

from tests.conftest import REPOSITORY
from tests.serving import PATIENCE


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "service", "score", *map(str, arguments)]


def run(*arguments: object, status: int = 0) -> str:
    """Run the command and return what it says."""
    ended = subprocess.run(
        command(*arguments), cwd=REPOSITORY, capture_output=True, text=True, check=False, timeout=PATIENCE
    )
    assert ended.returncode == status, ended.stderr[-1500:]
    assert ended.stdout == ""
    assert "Traceback" not in ended.stderr
    return ended.stderr.strip()


# A program that sends itself a signal once a number of rows is in its journal, however fast the machine is.
_STOPPED = """
import os, sys
from service.__main__ import main
from service.offline.journal import Journal
add, number, left = Journal.add, int(sys.argv.pop(1)), [int(sys.argv.pop(1))]
def add_and_count(journal, row):
    add(journal, row)
    left[0] -= 1
    if not left[0]:
        os.kill(os.getpid(), number)
Journal.add = add_and_count
main()
"""


def stopped(number: signal.Signals, rows: int, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run the command until it has scored some rows, and stop it then with a signal."""
    program = [sys.executable, "-c", _STOPPED, str(int(number)), str(rows), "score", *map(str, arguments)]
    return subprocess.run(program, cwd=REPOSITORY, capture_output=True, text=True, check=False, timeout=PATIENCE)


def rows_of(path: Path) -> dict[str, dict]:
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert len({row["path"] for row in rows}) == len(rows)
    return {row["path"]: row for row in rows}


def lines(journal: Path) -> int:
    return journal.read_bytes().count(b"\n") if journal.exists() else 0

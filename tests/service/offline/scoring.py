"""``service score`` as a person runs it, and what it leaves."""

import json
import subprocess
import sys
from pathlib import Path

from tests.conftest import REPOSITORY


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "service", "score", *map(str, arguments)]


def run(*arguments: object, status: int = 0) -> str:
    """Run the command and return what it says."""
    ended = subprocess.run(
        command(*arguments), cwd=REPOSITORY, capture_output=True, text=True, check=False, timeout=120
    )
    assert ended.returncode == status, ended.stderr[-1500:]
    assert ended.stdout == ""
    assert "Traceback" not in ended.stderr
    return ended.stderr.strip()


def rows_of(path: Path) -> dict[str, dict]:
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert len({row["path"] for row in rows}) == len(rows)
    return {row["path"]: row for row in rows}


def lines(journal: Path) -> int:
    return journal.read_bytes().count(b"\n") if journal.exists() else 0

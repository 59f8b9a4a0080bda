"""Licences of what is installed: ``python -m tests.licences`` writes THIRD_PARTY.md; a test holds the locks against it.

Which licences are allowed, and those of packages whose metadata do not say, stand in pyproject.toml.
"""

import functools
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
LIST = REPOSITORY / "THIRD_PARTY.md"
LOCKS = {"service.lock": "service", "trainer.lock": "trainer"}
_HEAD = """# Third-party packages

What the locks install, and under which licences; `make licences` writes this list from the packages' own metadata.
The policy (`tool.licences` in pyproject.toml) allows permissive licences and the MPL, which asks nothing of those who
only use a package; a test refuses anything else. `service-media.lock` is outside of it: PyAV, which it adds, is
BSD-3-Clause, but its wheels carry FFmpeg with x264 and x265, which are GPL. No other lock but dev.lock has it.
"""


def name_of(name: str) -> str:
    """Return a package's name as indexes compare it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def locked(lock: str) -> dict[str, str]:
    """Return the packages of a lock with their versions, but for those that no system installs."""
    text = (REPOSITORY / lock).read_text("utf-8")
    rows = re.findall(r"^([A-Za-z0-9._-]+)==(\S+)(.*)$", text, re.MULTILINE)
    return {name_of(name): version for name, version, rest in rows if "'never'" not in rest}


def policy() -> tuple[list[str], dict[str, str]]:
    """Return the patterns of allowed licences, and the licences of packages whose metadata do not say."""
    policy = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))["tool"]["licences"]
    return policy["allowed"], policy["known"]


@functools.cache
def installed() -> dict[str, str]:
    """Return the licence of every package of this environment, as its metadata have it."""
    command = [sys.executable, "-m", "piplicenses", "--from=mixed", "--format=json", "--with-system"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    _, known = policy()
    return {name_of(row["Name"]): row["License"] for row in json.loads(done.stdout)} | known


def allowed(licence: str) -> bool:
    """Return whether the policy allows a licence: of a choice one part, of a sum every part."""
    patterns, _ = policy()
    return any(
        all(any(re.fullmatch(pattern, name.strip()) for pattern in patterns) for name in re.split(r" AND |;", choice))
        for choice in licence.split(" OR ")
    )


def table() -> str:
    """Return what THIRD_PARTY.md says."""
    licences, text = installed(), _HEAD
    for lock, title in LOCKS.items():
        text += f"\n## {title} ({lock})\n\n| package | version | licence |\n|---|---|---|\n"
        rows = sorted(locked(lock).items())
        text += "".join(f"| {name} | {version} | {licences.get(name, '–')} |\n" for name, version in rows)
    return text


if __name__ == "__main__":
    LIST.write_text(table(), "utf-8")

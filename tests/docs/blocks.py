"""The fenced blocks of the documents, and why some of them are not run."""

import re
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import REPOSITORY

DOCUMENTS = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md"))]
# What a block may need that this machine, or any test, has not.
REASONS = {
    "tests/service/server/test_nginx.py does, on other ports",
    "needs a cluster",
    "needs a Docker daemon",
    "needs two hosts",
}
_BLOCK = re.compile(r"(?:<!-- not run: (?P<reason>[^\n]*) -->\n)?^```(?P<kind>\w*)\n(?P<text>.*?)^```$", re.M | re.S)


@dataclass(frozen=True)
class Block:
    """One fenced block: its language, its text, where it begins, and why it is not run, if it is not."""

    document: str
    line: int
    kind: str
    text: str
    reason: str | None


def blocks(path: Path) -> list[Block]:
    """Return the blocks of a document, in order."""
    content = path.read_text("utf-8")
    return [
        Block(path.name, content.count("\n", 0, match.start("kind")) + 1, match["kind"], match["text"], match["reason"])
        for match in _BLOCK.finditer(content)
    ]


def commands(block: Block) -> str:
    """Return what a reader would type: of a console the lines behind the prompt."""
    if block.kind == "console":
        return "\n".join(line.removeprefix("$ ") for line in block.text.splitlines() if line.startswith("$ "))
    return block.text

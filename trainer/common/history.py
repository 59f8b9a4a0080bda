"""History of a fit: one row an epoch, written and read back."""

import csv
from pathlib import Path
from typing import Any

from trainer.common.errors import TrainerError
from trainer.common.files import atomic_path


def write_history(path: Path, history: list[dict[str, Any]]) -> None:
    """Write ``history.csv``, one row an epoch."""
    with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as stream:
        # A run that another version began has fewer figures in its first rows.
        names = dict.fromkeys(name for row in history for name in row)
        writer = csv.DictWriter(stream, fieldnames=list(names))
        writer.writeheader()
        writer.writerows(history)


def read_history(path: Path) -> list[dict[str, Any]]:
    """Read ``history.csv`` back: numbers where they are, texts where not; empty where there is none.

    Raises:
        TrainerError: it is damaged.
    """
    if not path.is_file():
        return []
    try:
        with path.open(newline="", encoding="utf-8") as stream:
            rows = list(csv.DictReader(stream, strict=True))
        if any(not row.get("seconds") or None in row or None in row.values() for row in rows):
            raise ValueError("a row is cut off")
        return [{key: _number(value) for key, value in row.items()} for row in rows]
    except (ValueError, csv.Error) as error:
        raise TrainerError(f"'{path}' is not the history of a fit: {error}") from None


def _number(text: str) -> float | int | str:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text

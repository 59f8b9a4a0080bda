"""History of a fit, one row per epoch: writing and reading ``history.csv``."""

import csv
from pathlib import Path
from typing import Any

from trainer.common.errors import TrainerError
from trainer.common.files import atomic_path


def write_history(path: Path, history: list[dict[str, Any]]) -> None:
    """Write ``history.csv``, one row per epoch."""
    with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as stream:
        # The first rows of a run that an older version started can have fewer columns.
        names = dict.fromkeys(name for row in history for name in row)
        writer = csv.DictWriter(stream, fieldnames=list(names))
        writer.writeheader()
        writer.writerows(history)


def read_history(path: Path) -> list[dict[str, Any]]:
    """Read ``history.csv``, with numbers converted; return an empty list if the file does not exist.

    Raises:
        TrainerError: the file is damaged.
    """
    if not path.is_file():
        return []
    try:
        with path.open(newline="", encoding="utf-8") as stream:
            rows = list(csv.DictReader(stream, strict=True))
        if any(not row.get("seconds") or None in row or None in row.values() for row in rows):
            raise ValueError("a row is incomplete")
        return [{key: _number(value) for key, value in row.items()} for row in rows]
    except (ValueError, csv.Error) as error:
        raise TrainerError(f"'{path}' is not a valid history: {error}") from None


def _number(text: str) -> float | int | str:
    for number_type in (int, float):
        try:
            return number_type(text)
        except ValueError:
            continue
    return text

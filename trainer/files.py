"""Files that are written whole or not at all."""

import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from service.contract.refusals import TooManyBytes
from trainer.errors import TrainerError


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; rename it there on success, remove it on failure.

    The temporary name keeps the suffix, because Keras and matplotlib choose their format by it.
    """
    temporary = path.with_name(f".partial-{os.getpid()}-{path.name}")
    try:
        yield temporary
        with temporary.open("rb") as stream:
            os.fsync(stream.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def refuse_existing(folder: Path | None) -> None:
    """Refuse a folder that is there, before the long work whose result would go into it.

    Raises:
        TrainerError: it exists.
    """
    if folder is None:
        return
    if folder.exists():
        raise TrainerError(f"folder '{folder}' exists: name another, or remove it first")
    there = next(parent for parent in folder.absolute().parents if parent.exists())
    if not there.is_dir():
        raise TrainerError(f"folder '{folder}' cannot be made: '{there}' is not a folder")


@contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """Yield a temporary folder beside ``folder``; rename it there on success, remove it on failure.

    Raises:
        TrainerError: ``folder`` exists.
    """
    refuse_existing(folder)
    _remove_stale(folder)
    temporary = folder.with_name(f".partial-{os.getpid()}-{folder.name}")
    temporary.mkdir(parents=True)
    try:
        yield temporary
        temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _remove_stale(folder: Path) -> None:
    """Remove what killed processes left of this very folder."""
    for path in folder.parent.glob(".partial-*"):
        found = re.fullmatch(r"\.partial-(\d+)-(.*)", path.name)
        if found and found[2] == folder.name and not _alive(int(found[1])):
            shutil.rmtree(path, ignore_errors=True)


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def read_bounded(path: Path, max_bytes: int) -> bytes:
    """Return a file's bytes, refusing a long one before any of it is read.

    Raises:
        TooManyBytes: the file is longer than ``max_bytes``.
        OSError: it cannot be read.
    """
    size = path.stat().st_size
    if size > max_bytes:
        raise TooManyBytes(f"{size} bytes are over the limit of {max_bytes}")
    return path.read_bytes()


def remove_partial(folder: Path) -> None:
    """Remove what a killed process left behind under ``folder``."""
    for path in folder.rglob(".partial-*"):
        path.unlink(missing_ok=True)


def write_json(path: Path, value: Any) -> None:
    """Write indented JSON atomically."""
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")

"""Walk folders that may hold links, pipes and unreadable entries, and make file names printable."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from service.contract.text import one_line

_NOT_REGULAR = "unreadable: not a regular file"


def printable(name: str) -> str:
    """Return a file name as a single line of text that is safe to print and to write as UTF-8."""
    return one_line(os.fsencode(name).decode("utf-8", "backslashreplace"))


def walk(folder: Path) -> Iterator[tuple[Path, str]]:
    """Yield the path of every file under a folder, and the problem with it, or an empty string.

    Hidden files and folders are ignored. Links are followed; a folder that several links lead to is read once.
    """
    unreadable: list[OSError] = []
    seen: set[tuple[int, int]] = set()
    links: list[Path] = []
    for name, folders, files in os.walk(folder, onerror=unreadable.append):
        # Links come last, so that a target inside this folder is listed under its own path.
        links += sorted(Path(name) / child for child in folders if (Path(name) / child).is_symlink())
        yield from _entries(Path(name), folders, files, seen)
    for link in links:
        if not link.name.startswith("."):
            for name, folders, files in os.walk(link, onerror=unreadable.append, followlinks=True):
                yield from _entries(Path(name), folders, files, seen)
    for error in unreadable:
        yield Path(error.filename), f"unreadable folder: {error.strerror}"


def _entries(
    folder: Path, folders: list[str], files: list[str], seen: set[tuple[int, int]]
) -> Iterator[tuple[Path, str]]:
    """Yield the files of one folder, and remove from ``folders`` those that are not to be walked."""
    try:
        state = folder.stat()
    except OSError as error:
        yield folder, f"unreadable folder: {error.strerror}"
        return
    if (state.st_dev, state.st_ino) in seen:
        folders.clear()
        yield folder, "unreadable: a link to a folder that has already been read"
        return
    seen.add((state.st_dev, state.st_ino))
    folders[:] = sorted(child for child in folders if not child.startswith("."))
    for file in files:
        if not file.startswith("."):
            yield folder / file, _problem(folder / file)


def _problem(path: Path) -> str:
    try:
        if stat.S_ISREG(path.stat().st_mode):
            return ""
    except FileNotFoundError:
        return "unreadable: a broken link"
    except OSError as error:
        return f"unreadable: {error.strerror}"
    return _NOT_REGULAR

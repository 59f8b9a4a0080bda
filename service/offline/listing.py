"""Listing: the files that paths stand for."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from service.offline.failures import ScoreError


def files_of(paths: Iterable[Path], without: Iterable[Path]) -> list[str]:
    """Return every file once: those named, and those below folders, in the order of their names.

    Hidden files and folders below a folder are passed over, and so are links to folders (which may lead round in
    circles); links to files are followed.

    Args:
        paths: files and folders.
        without: files that are no input, such as the output.

    Raises:
        ScoreError: a path does not exist, or a folder cannot be read.
    """
    own = {path.resolve() for path in without}
    found: dict[str, None] = {}
    for path in paths:
        if path.is_dir():
            found.update((name, None) for name in _below(path) if Path(name).resolve() not in own)
        elif path.exists() or path.is_symlink():
            found[str(path)] = None
        else:
            raise ScoreError(f"'{path}' does not exist")
    return list(found)


def _below(folder: Path) -> Iterator[str]:
    def fail(error: OSError) -> None:
        raise ScoreError(f"cannot read the folder '{error.filename}': {error.strerror}")

    for parent, folders, names in os.walk(folder, onerror=fail):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (os.path.join(parent, name) for name in sorted(names) if not name.startswith("."))  # noqa: PTH118

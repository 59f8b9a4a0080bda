"""Listing: the files that paths stand for."""

import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from service.offline.score_error import ScoreError


def files_of(paths: Iterable[Path], without: Iterable[Path]) -> list[str]:
    """Return every file once by each name: those named, and those below folders, in the order of their names.

    Hidden files and folders below a folder are passed over, and so are links to folders (which may lead round in
    circles); links to files are followed.

    Args:
        paths: files and folders.
        without: files that are no input, such as the output.

    Raises:
        ScoreError: a path does not exist, or a folder cannot be read.
    """
    own = {os.path.realpath(path) for path in without}
    found: dict[str, None] = {}
    for path in paths:
        try:
            state = path.stat() if path.exists() else path.lstat()
        except FileNotFoundError:
            raise ScoreError(f"'{path}' does not exist") from None
        except OSError as error:
            raise ScoreError(f"'{path}' cannot be looked at: {error.strerror}") from None
        names = _below(path) if stat.S_ISDIR(state.st_mode) else (str(path),)
        found.update((name, None) for name in names if os.path.realpath(name) not in own)
    return list(found)


def _below(folder: Path) -> Iterator[str]:
    def fail(error: OSError) -> None:
        raise ScoreError(f"cannot read the folder '{error.filename}': {error.strerror}")

    for parent, folders, names in os.walk(folder, onerror=fail):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (os.path.join(parent, name) for name in sorted(names) if not name.startswith("."))  # noqa: PTH118

"""Listing of the input files of ``service score``."""

import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from service.errors import ScoreError


def files_of(paths: Iterable[Path], excluded: Iterable[Path]) -> list[str]:
    """Return the given files and the files inside the given folders, each name once, sorted within a folder.

    Hidden files and folders inside a folder are skipped, and so are links to folders, which may form loops. Links to
    files are followed.

    Args:
        paths: files and folders.
        excluded: files that are not input, such as the output.

    Raises:
        ScoreError: a path does not exist, or a folder cannot be read.
    """
    excluded_targets = {os.path.realpath(path) for path in excluded}
    files: dict[str, None] = {}
    for path in paths:
        try:
            state = path.stat() if path.exists() else path.lstat()
        except FileNotFoundError:
            raise ScoreError(f"'{path}' does not exist") from None
        except OSError as error:
            raise ScoreError(f"'{path}' cannot be accessed: {error.strerror}") from None
        names = _walk(path) if stat.S_ISDIR(state.st_mode) else (str(path),)
        files.update((name, None) for name in names if os.path.realpath(name) not in excluded_targets)
    return list(files)


def _walk(folder: Path) -> Iterator[str]:
    def fail(error: OSError) -> None:
        raise ScoreError(f"cannot read the folder '{error.filename}': {error.strerror}")

    for parent, folders, names in os.walk(folder, onerror=fail):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (os.path.join(parent, name) for name in sorted(names) if not name.startswith("."))  # noqa: PTH118

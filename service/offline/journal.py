"""Journal: the rows of an unfinished run, one JSON line each, so that no file is lost or scored twice.

Each row is a single write: only the last line may be incomplete after the process is killed. The file is synced to
disk every two seconds, against power cuts. The first line is a header with what the rows were made with.
"""

import contextlib
import json
import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from service.errors import ScoreError
from service.offline.rows import Row

_SYNC_INTERVAL_S = 2.0
_HEADER_PREFIX = b'{"journal":'
# Error codes that are not the file's fault. A file with a transient error is scored again on resume.
FAILURES = frozenset(("inference_failed", "internal_error"))
_TRANSIENT = FAILURES | {"unreadable"}


class Journal:
    """Rows in a file beside the output, locked by this process.

    Args:
        path: journal file.
        head: versions and settings that the rows are made with.
        resume: whether to continue an existing journal; otherwise a new one is started.

    Raises:
        ScoreError: the file cannot be written, another run holds it, or it was made with a different ``head``.
    """

    def __init__(self, path: Path, head: dict[str, Any], resume: bool) -> None:
        self._path = path
        self.done: dict[str, int] = {}
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0)
        try:
            self._file = open(os.open(path, flags, 0o644), "r+b", buffering=0)  # noqa: PTH123, SIM115
        except OSError as error:
            raise ScoreError(f"cannot write '{path}': {error.strerror}") from None
        try:
            self._lock()
            self._check_own()
            self._start(head, resume)
        except BaseException as error:
            self._file.close()
            if isinstance(error, OSError):
                raise ScoreError(f"cannot write '{path}': {error.strerror}") from None
            raise
        self._synced = time.monotonic()

    def add(self, row: Row) -> None:
        """Write one row.

        Raises:
            ScoreError: the row cannot be written; earlier rows are kept.
        """
        offset = self._file.tell()
        try:
            self._write(json.dumps(row, separators=(",", ":"), allow_nan=False).encode() + b"\n")
            if time.monotonic() - self._synced > _SYNC_INTERVAL_S:
                os.fsync(self._file.fileno())
                self._synced = time.monotonic()
        except OSError as error:
            with contextlib.suppress(OSError):
                self._file.truncate(offset)
            raise ScoreError(f"cannot write '{self._path}': {error.strerror}; use --resume to continue") from None
        self.done[row["path"]] = offset

    def rows(self, order: Iterable[str]) -> Iterator[Row]:
        """Yield the rows of the paths in ``order``, in that order, then all other rows."""
        with self._path.open("rb") as file:
            listed = [self.done[name] for name in order if name in self.done]
            unlisted = set(self.done.values()).difference(listed)
            for offset in (*listed, *sorted(unlisted)):
                file.seek(offset)
                row: Row = json.loads(file.readline())
                yield row

    def close(self) -> None:
        """Close the file without removing it."""
        self._file.close()

    def remove(self) -> None:
        """Remove the file; called when the output is complete."""
        if os.name == "nt":  # cannot remove an open file; elsewhere the lock is held until the file is removed
            self.close()
        self._path.unlink(missing_ok=True)
        self.close()

    def _check_own(self) -> None:
        """Refuse to overwrite a file that is not a journal, and a journal that another run has just replaced."""
        opened, current = os.fstat(self._file.fileno()), self._path.stat()
        if (opened.st_ino, opened.st_dev) != (current.st_ino, current.st_dev):
            raise ScoreError(f"another run has just replaced '{self._path}'; try again")
        prefix = self._file.read(len(_HEADER_PREFIX))
        if prefix and not _HEADER_PREFIX.startswith(prefix):
            raise ScoreError(f"'{self._path}' is not a journal of 'service score'; it was not changed")
        self._file.seek(0)

    def _start(self, head: dict[str, Any], resume: bool) -> None:
        if resume and (end := self._read(head)):
            self._file.truncate(end)
            self._file.seek(end)
        else:
            self._file.truncate(0)
            self._write(json.dumps(head).encode() + b"\n")
            os.fsync(self._file.fileno())

    def _lock(self) -> None:
        try:
            import fcntl
        except ImportError:  # Windows
            return
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ScoreError(f"another run is writing '{self._path}'; wait for it to end") from None

    def _read(self, head: dict[str, Any]) -> int:
        """Index the existing rows; return where the last complete one ends, or 0 if the header is incomplete."""
        with self._path.open("rb") as file:
            header_line, offset = file.readline(), 0
            if not header_line.endswith(b"\n"):
                return 0
            header = _parse_line(header_line)
            if not isinstance(header, dict):
                raise ScoreError(f"'{self._path}' is not a journal of 'service score'; it was not changed")
            for key, value in head.items():
                if header.get(key) != value:
                    raise ScoreError(
                        f"'{self._path}' was made with {key} {header.get(key)!r}, but this run has {value!r}; "
                        "use --overwrite to start over"
                    )
            offset = file.tell()
            for line in file:
                if not line.endswith(b"\n"):
                    break
                row = _parse_line(line)
                if not _is_row(row):
                    raise ScoreError(f"'{self._path}' is damaged at byte {offset}; use --overwrite to start over")
                if row.get("error", {}).get("code") not in _TRANSIENT:
                    self.done[row["path"]] = offset
                offset += len(line)
        return offset

    def _write(self, line: bytes) -> None:
        remaining = memoryview(line)
        while remaining:
            remaining = remaining[self._file.write(remaining) :]


def _is_row(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("path"), str) and isinstance(value.get("error", {}), dict)


def _parse_line(line: bytes) -> Any:
    try:
        return json.loads(line)
    except ValueError:
        return None

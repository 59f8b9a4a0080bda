"""Journal: the rows of a run that is under way, one JSON line each, so that nothing is lost or scored twice.

A row is one write to the system, so that a killed process leaves whole lines but for the last; every two seconds they
are forced to the disk, for power cuts. The first line says what the rows were made with.
"""

import contextlib
import json
import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from service.offline.rows import Row
from service.offline.score_error import ScoreError

_SYNC_S = 2.0
_BEGINS = b'{"journal":'
# Of what is no fault of the file; and what may be otherwise the next time.
FAILURES = frozenset(("inference_failed", "internal_error"))
_PASSING = FAILURES | {"unreadable"}


class Journal:
    """Rows in a file beside the output, held by this process alone.

    Args:
        path: of the journal.
        head: what the rows are made with.
        resume: whether to go on with one that is there; else a new one is begun.

    Raises:
        ScoreError: it cannot be written, another run holds it, or it was made with something else.
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
            self._begin(head, resume)
        except BaseException as error:
            self._file.close()
            if isinstance(error, OSError):
                raise ScoreError(f"cannot write '{path}': {error.strerror}") from None
            raise
        self._synced = time.monotonic()

    def add(self, row: Row) -> None:
        """Write one row.

        Raises:
            ScoreError: it cannot be; the rows before stay.
        """
        place = self._file.tell()
        try:
            self._write(json.dumps(row, separators=(",", ":"), allow_nan=False).encode() + b"\n")
            if time.monotonic() - self._synced > _SYNC_S:
                os.fsync(self._file.fileno())
                self._synced = time.monotonic()
        except OSError as error:
            with contextlib.suppress(OSError):
                self._file.truncate(place)
            raise ScoreError(f"cannot write '{self._path}': {error.strerror}; --resume goes on from here") from None
        self.done[row["path"]] = place

    def rows(self, order: Iterable[str]) -> Iterator[Row]:
        """Yield the rows: those of ``order`` first and in it, then what is left."""
        with self._path.open("rb") as file:
            listed = [self.done[name] for name in order if name in self.done]
            others = set(self.done.values()).difference(listed)
            for place in (*listed, *sorted(others)):
                file.seek(place)
                row: Row = json.loads(file.readline())
                yield row

    def close(self) -> None:
        """Let go of it; it stays."""
        self._file.close()

    def remove(self) -> None:
        """Remove it, once the output is there."""
        if os.name == "nt":  # where an open file cannot be removed; elsewhere it is held until it is gone
            self.close()
        self._path.unlink(missing_ok=True)
        self.close()

    def _check_own(self) -> None:
        """Refuse a file that is no journal, rather than overwrite it; and one that another run has just removed."""
        found, there = os.fstat(self._file.fileno()), self._path.stat()
        if (found.st_ino, found.st_dev) != (there.st_ino, there.st_dev):
            raise ScoreError(f"another run has just ended with '{self._path}'")
        begins = self._file.read(len(_BEGINS))
        if begins and not _BEGINS.startswith(begins):
            raise ScoreError(f"'{self._path}' is no journal of a run; it is left as it is")
        self._file.seek(0)

    def _begin(self, head: dict[str, Any], resume: bool) -> None:
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
            raise ScoreError(f"another run is writing '{self._path}'") from None

    def _read(self, head: dict[str, Any]) -> int:
        """Find the rows that are there; return where the last whole one ends, 0 where not even the head is whole."""
        with self._path.open("rb") as file:
            first, place = file.readline(), 0
            if not first.endswith(b"\n"):
                return 0
            found = _parsed(first)
            if not isinstance(found, dict):
                raise ScoreError(f"'{self._path}' is no journal of a run; it is left as it is")
            for key, value in head.items():
                if found.get(key) != value:
                    raise ScoreError(
                        f"'{self._path}' was begun with {key} {found.get(key)!r}, and this run has {value!r}; "
                        "--overwrite begins anew"
                    )
            place = file.tell()
            for line in file:
                if not line.endswith(b"\n"):
                    break
                row = _parsed(line)
                if not _is_row(row):
                    raise ScoreError(f"'{self._path}' is damaged at byte {place}; --overwrite begins anew")
                if row.get("error", {}).get("code") not in _PASSING:
                    self.done[row["path"]] = place
                place += len(line)
        return place

    def _write(self, line: bytes) -> None:
        left = memoryview(line)
        while left:
            left = left[self._file.write(left) :]


def _is_row(found: Any) -> bool:
    return isinstance(found, dict) and isinstance(found.get("path"), str) and isinstance(found.get("error", {}), dict)


def _parsed(line: bytes) -> Any:
    try:
        return json.loads(line)
    except ValueError:
        return None

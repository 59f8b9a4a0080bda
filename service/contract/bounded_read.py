"""Size-limited reading of regular files."""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from service.contract.image.image_errors import TooManyBytes


class NotRegularFile(OSError):
    """The path is a folder, a pipe or a device."""


def read_bounded(path: Path, max_bytes: int) -> bytes:
    """Return a file's bytes; refuse a file over the limit before reading any of it.

    Raises:
        TooManyBytes: the file is longer than ``max_bytes``.
        NotRegularFile: the path is not a regular file.
        OSError: the file cannot be read.
    """
    with _open_regular(path) as (file, size):
        if size > max_bytes:
            raise TooManyBytes(f"{size} bytes are over the limit of {max_bytes}")
        content = file.read(max_bytes + 1) if size else b""
    if len(content) > max_bytes:  # the file has grown since it was opened
        raise TooManyBytes(f"{len(content)} bytes are over the limit of {max_bytes}")
    return content


def read_head(path: Path, count: int) -> bytes:
    """Return a file's first bytes, at most ``count``.

    Raises:
        NotRegularFile: the path is not a regular file.
        OSError: the file cannot be read.
    """
    with _open_regular(path) as (file, size):
        return file.read(count) if size else b""


@contextmanager
def _open_regular(path: Path) -> Iterator[tuple[BinaryIO, int]]:
    """Open a regular file; yield it and its size in bytes."""
    # Opening a pipe would block, and a device or a file of /proc has no end.
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    with open(descriptor, "rb") as file:  # noqa: PTH123 - from a descriptor
        state = os.fstat(descriptor)
        if not stat.S_ISREG(state.st_mode):
            raise NotRegularFile(errno.EINVAL, "not a regular file", str(path))
        try:
            yield file, state.st_size
        except OSError as error:
            error.filename = str(path)
            raise

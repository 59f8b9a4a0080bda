"""Payload: the bytes of one picture, out of a file."""

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
    """Return a file's bytes, refusing a long one before any of it is read.

    Raises:
        TooManyBytes: the file is longer than ``max_bytes``.
        NotRegularFile: it is no file of a known size.
        OSError: it cannot be read.
    """
    with _regular(path) as (file, size):
        if size > max_bytes:
            raise TooManyBytes(f"{size} bytes are over the limit of {max_bytes}")
        content = file.read(max_bytes + 1) if size else b""
    if len(content) > max_bytes:  # it has grown since
        raise TooManyBytes(f"{len(content)} bytes are over the limit of {max_bytes}")
    return content


def read_head(path: Path, count: int) -> bytes:
    """Return a file's first bytes, at most ``count``.

    Raises:
        OSError: it cannot be read.
    """
    with _regular(path) as (file, size):
        return file.read(count) if size else b""


@contextmanager
def _regular(path: Path) -> Iterator[tuple[BinaryIO, int]]:
    """Open a file of a known size."""
    # A pipe would be waited for, and a device or a file of /proc has no end.
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

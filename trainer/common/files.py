"""Files that are written whole or not at all."""

import errno
import glob
import json
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from trainer.common.errors import TrainerError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

_DISK_TROUBLE: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)
_NO_LOCKS: Final = (errno.EBADF, errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL)
# File systems allow 255 bytes, of which the name of a temporary takes some.
_LONGEST_NAME: Final = 200


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; rename it there on success, remove it on failure.

    The temporary name keeps the suffix, because Keras and matplotlib choose their format by it. It is locked, so that
    others can tell it from what a killed process left.
    """
    temporary = _temporary(path)
    try:
        os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
        with _locked(temporary):
            yield temporary
            with temporary.open("rb") as stream:
                os.fsync(stream.fileno())
            temporary.replace(path)
    except OSError as error:
        if error.errno in _DISK_TROUBLE and not error.filename:
            error.filename = str(path)  # which disk is full, say
        raise
    finally:
        temporary.unlink(missing_ok=True)


def _temporary(path: Path) -> Path:
    # By chance too: processes of several containers or hosts have the same numbers.
    return path.with_name(f".partial-{os.getpid()}-{secrets.token_hex(4)}-{path.name}")


def refuse_existing(folder: Path | None) -> None:
    """Refuse a folder that is there, before the long work whose result would go into it.

    Raises:
        TrainerError: it exists.
    """
    if folder is None:
        return
    if os.path.lexists(folder):
        raise TrainerError(f"folder '{folder}' exists: name another, or remove it first")
    if len(os.fsencode(folder.name)) > _LONGEST_NAME:
        raise TrainerError(f"folder '{folder.name}' cannot be made: its name is over {_LONGEST_NAME} bytes")
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
    for left in folder.parent.glob(f".partial-*-{glob.escape(folder.name)}"):
        _remove_stale(left)
    temporary = _temporary(folder)
    temporary.mkdir(parents=True)
    try:
        with _locked(temporary):
            yield temporary
            try:
                temporary.rename(folder)
            except OSError as error:
                if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
                    raise TrainerError(f"folder '{folder}' was made meanwhile, by another process") from None
                raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _remove_stale(path: Path) -> None:
    """Remove what a killed process left, a file or a folder; leave alone what is, or may be, being written."""
    if fcntl is None or path.is_symlink():
        return
    with suppress(OSError), _locked(path, certainly=True):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


@contextmanager
def _locked(path: Path, certainly: bool = False) -> Iterator[None]:
    """Hold a file or folder until the end, of the process too, however it comes.

    Where the system cannot lock (Windows, where what is open cannot be renamed either; some network file systems),
    nothing is held, unless it must be.

    Args:
        path: of the file or folder.
        certainly: fail where it cannot be held.

    Raises:
        BlockingIOError: another process holds it.
        OSError: it cannot be held, and must be.
    """
    if fcntl is None:
        yield
        return
    # Network file systems lock what is open for writing only; a folder never is.
    flags = os.O_RDONLY if path.is_dir() else os.O_RDWR | os.O_NONBLOCK | os.O_NOFOLLOW
    descriptor = os.open(path, flags)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if certainly or error.errno not in _NO_LOCKS:
                raise
        yield
    finally:
        os.close(descriptor)


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Hold a folder, so that no two processes write into it at once; the lock ends with the process.

    Raises:
        TrainerError: another process holds it.
    """
    with ExitStack() as stack:
        try:
            stack.enter_context(_locked(folder))
        except BlockingIOError:
            raise TrainerError(f"'{folder}' is being written by another process") from None
        yield


def remove_partial(folder: Path, pattern: str = "**/.partial-*") -> None:
    """Remove what killed processes left behind under ``folder``; what is being written there stays."""
    for path in sorted(folder.glob(pattern)):
        _remove_stale(path)


def write_json(path: Path, value: Any) -> None:
    """Write indented JSON atomically."""
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")

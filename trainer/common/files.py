"""Atomic writing and locking of files and folders."""

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

_DISK_ERRNOS: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)
_LOCK_UNSUPPORTED_ERRNOS: Final = (errno.EBADF, errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL)
# File systems allow 255 bytes; the prefix of a temporary name takes some of them.
_MAX_NAME_BYTES: Final = 200


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path next to ``path``; rename it to ``path`` on success, remove it on failure.

    The temporary name keeps the suffix, because Keras and matplotlib choose the format by it. The file is locked, so
    that other processes can distinguish it from leftovers of a killed process.
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
        if error.errno in _DISK_ERRNOS and not error.filename:
            error.filename = str(path)  # shows which disk is full
        raise
    finally:
        temporary.unlink(missing_ok=True)


def _temporary(path: Path) -> Path:
    # The random token is needed because processes in different containers or hosts can have the same PID.
    return path.with_name(f".partial-{os.getpid()}-{secrets.token_hex(4)}-{path.name}")


def refuse_existing(folder: Path | None) -> None:
    """Check, before a long computation, that a result folder does not exist and can be created.

    Raises:
        TrainerError: the folder exists, its name is too long, or an ancestor is not a folder.
    """
    if folder is None:
        return
    if os.path.lexists(folder):
        raise TrainerError(f"folder '{folder}' exists: name another, or remove it first")
    if len(os.fsencode(folder.name)) > _MAX_NAME_BYTES:
        raise TrainerError(f"folder '{folder.name}' cannot be created: its name is longer than {_MAX_NAME_BYTES} bytes")
    ancestor = next(parent for parent in folder.absolute().parents if parent.exists())
    if not ancestor.is_dir():
        raise TrainerError(f"folder '{folder}' cannot be created: '{ancestor}' is not a folder")


@contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """Yield a temporary folder next to ``folder``; rename it to ``folder`` on success, remove it on failure.

    Raises:
        TrainerError: ``folder`` exists.
    """
    refuse_existing(folder)
    for leftover in folder.parent.glob(f".partial-*-{glob.escape(folder.name)}"):
        _remove_stale(leftover)
    temporary = _temporary(folder)
    temporary.mkdir(parents=True)
    try:
        with _locked(temporary):
            yield temporary
            try:
                temporary.rename(folder)
            except OSError as error:
                if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
                    raise TrainerError(f"folder '{folder}' was created by another process in the meantime") from None
                raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _remove_stale(path: Path) -> None:
    """Remove a file or folder left by a killed process, unless another process is, or may be, writing it."""
    if fcntl is None or path.is_symlink():
        return
    with suppress(OSError), _locked(path, required=True):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


@contextmanager
def _locked(path: Path, required: bool = False) -> Iterator[None]:
    """Lock a file or folder until the end of the block or of the process.

    Where locks are not supported, nothing is locked, unless the lock is required. This is the case on some network
    file systems and on Windows, where open files cannot be renamed either.

    Args:
        path: file or folder.
        required: raise an error if the lock is not supported.

    Raises:
        BlockingIOError: another process holds the lock.
        OSError: the lock is required but not supported.
    """
    if fcntl is None:
        yield
        return
    # Network file systems lock only files that are open for writing; folders never are.
    flags = os.O_RDONLY if path.is_dir() else os.O_RDWR | os.O_NONBLOCK | os.O_NOFOLLOW
    descriptor = os.open(path, flags)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if required or error.errno not in _LOCK_UNSUPPORTED_ERRNOS:
                raise
        yield
    finally:
        os.close(descriptor)


@contextmanager
def folder_lock(folder: Path) -> Iterator[None]:
    """Lock a folder, so that only one process writes into it; the lock ends with the process.

    Raises:
        TrainerError: another process holds the lock.
    """
    with ExitStack() as stack:
        try:
            stack.enter_context(_locked(folder))
        except BlockingIOError:
            raise TrainerError(f"another process is writing to '{folder}'") from None
        yield


def remove_partial(folder: Path, pattern: str = "**/.partial-*") -> None:
    """Remove leftovers of killed processes under ``folder``; files that are being written stay."""
    for path in sorted(folder.glob(pattern)):
        _remove_stale(path)


def write_json(path: Path, value: Any) -> None:
    """Write indented JSON atomically."""
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")

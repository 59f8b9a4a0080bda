"""Tells when the files that a reload reads have changed."""

from collections.abc import Iterable
from pathlib import Path

from service.inference.signature import SUFFIX
from service.settings import Settings

_State = tuple[int, int, int] | None


class FileWatch:
    """Compares files by inode, size and modification time.

    A change counts once two checks in a row see the same state, so that a copy in progress is not read.

    Args:
        paths: to check; a missing file is a state as well.
        fresh: whether the files are read after this; otherwise the first check reports a change, because what was read
            before may have been another state.
    """

    def __init__(self, paths: Iterable[Path], fresh: bool = False) -> None:
        self._paths = tuple(paths)
        self._last = self._states()
        self._reported = self._last if fresh else ()

    def changed(self) -> bool:
        """Return whether the files have changed since this last returned True."""
        states = self._states()
        settled, self._last = states == self._last, states
        if states == self._reported or not settled:
            return False
        self._reported = states
        return True

    def _states(self) -> tuple[_State, ...]:
        return tuple(_state(path) for path in self._paths)


def watched_files(settings: Settings) -> list[Path]:
    """Return the files whose change causes a reload: model, signature, public key, API keys."""
    paths = [settings.model]
    if settings.model_public_key:
        paths += [settings.model.with_name(settings.model.name + SUFFIX), settings.model_public_key]
    if settings.api_keys:
        paths.append(settings.api_keys)
    return paths


def _state(path: Path) -> _State:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns

"""Reload: a new model file, and new API keys, are taken up while requests are answered.

The new file passes every check of a start, beside the model that answers; only then do new requests get it, and those
that were admitted before finish with the model that they began with. What is refused changes nothing.
"""

import asyncio
import hashlib
import logging
import os
import signal
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

from service.inference.engine import load_engine
from service.inference.model_file import ModelFileError
from service.inference.scorer import Scorer
from service.inference.session import ProviderError
from service.lifecycle.keys import Keys, KeysError
from service.lifecycle.state import State
from service.lifecycle.terminal import Terminal
from service.resources import release_free_memory
from service.settings import Settings

_TICK_S = 0.05
_log = logging.getLogger(__name__)


class Watch:
    """Tells when files have changed: by inode, size and time, twice the same, so that a copy in progress is not read.

    Args:
        paths: that are looked at; one that is missing is in a state like any other.
        fresh: whether they will be read after this; else the first look is a change too, for what was read before may
            have been another.
    """

    def __init__(self, paths: Iterable[Path], fresh: bool = False) -> None:
        self._paths = tuple(paths)
        self._last = self._look()
        self._known = self._last if fresh else ()

    def changed(self) -> bool:
        """Return whether they are other than when this last was so, and as they were a look ago."""
        now = self._look()
        settled, self._last = now == self._last, now
        if now == self._known or not settled:
            return False
        self._known = now
        return True

    def _look(self) -> tuple[tuple[int, int, int] | None, ...]:
        found: list[tuple[int, int, int] | None] = []
        for path in self._paths:
            try:
                state = path.stat()
            except OSError:
                found.append(None)
            else:
                found.append((state.st_ino, state.st_size, state.st_mtime_ns))
        return tuple(found)


def watched(settings: Settings) -> list[Path]:
    """Return the files whose change makes a reload: model, signature, API keys."""
    from service.inference.signature import SUFFIX

    found = [settings.model]
    if settings.model_public_key:
        found += [settings.model.with_name(settings.model.name + SUFFIX), settings.model_public_key]
    if settings.api_keys:
        found.append(settings.api_keys)
    return found


class Reload:
    """Takes up what is new on SIGHUP, and by looking now and then where that is set.

    Args:
        state: whose scorer and keys are replaced.
        read: returns the bytes of the model file.
        alone: whether to look by itself (``SERVICE_MODEL_POLL_S``), and to count; else a parent of several does.
    """

    def __init__(self, state: State, read: Callable[[], bytes], alone: bool) -> None:
        self._state, self._read, self._alone = state, read, alone
        self._asked, self._terminal = asyncio.Event(), Terminal()
        self._tasks: set[asyncio.Task[None]] = set()

    def install(self) -> None:
        """Begin, on the event loop. Signals reach the main thread alone: elsewhere there are none."""
        if hasattr(signal, "SIGHUP") and threading.current_thread() is threading.main_thread():
            asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self._on_signal)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})  # one that came while a worker started
        self._start(self._when_asked())
        seconds = self._state.settings.model_poll_s
        if seconds and self._alone:
            self._start(self._look_every(seconds))

    def uninstall(self) -> None:
        """End."""
        if hasattr(signal, "SIGHUP") and threading.current_thread() is threading.main_thread():
            asyncio.get_running_loop().remove_signal_handler(signal.SIGHUP)
        for task in list(self._tasks):
            task.cancel()

    def _on_signal(self) -> None:
        if self._alone and self._terminal.is_closed():
            os.kill(os.getpid(), signal.SIGTERM)
        else:
            self._asked.set()

    async def now(self) -> None:
        """Take up what is new; what cannot be is logged, and changes nothing."""
        self._take_up_keys()
        outcome = "refused"
        try:
            outcome = await self._take_up_model()
        except (ModelFileError, ProviderError) as error:
            _log.warning("new model is refused, and the one that answers stays", extra={"error": str(error)})
        except Exception:  # whatever it is, the service goes on as it was
            _log.exception("new model is refused, and the one that answers stays")
        if self._alone:
            self._state.metrics.reloads.labels(outcome).inc()
        elif outcome == "refused":  # what the others have taken up; who takes this one's place begins with it
            os.kill(os.getpid(), signal.SIGTERM)

    async def _take_up_model(self) -> str:
        state, settings = self._state, self._state.settings
        content = await asyncio.to_thread(self._read)
        if hashlib.sha256(content).hexdigest() == state.loaded_scorer().engine.sha256:
            _log.info("model file is unchanged")
            return "unchanged"
        engine = await asyncio.to_thread(load_engine, settings, content)
        old = state.loaded_scorer()
        state.serve(engine)
        names = {"old": old.engine.sha256, "new": engine.sha256, "model": engine.spec.name}
        _log.info("model is swapped", extra=names | {"version": engine.spec.version})
        self._start(_retire(old))
        return "swapped"

    def _take_up_keys(self) -> None:
        if path := self._state.settings.api_keys:
            try:
                self._state.keys = Keys.load(path)
                _log.info("API keys are taken up", extra={"keys": len(self._state.keys.holders)})
            except KeysError as error:
                _log.warning("new API keys are refused, and the old ones stay", extra={"error": str(error)})

    async def _when_asked(self) -> None:
        while True:
            await self._asked.wait()
            self._asked.clear()
            if not self._state.draining:
                await self.now()

    async def _look_every(self, seconds: float) -> None:
        watch = Watch(watched(self._state.settings))
        while True:
            await asyncio.sleep(seconds)
            if await asyncio.to_thread(watch.changed):
                self._asked.set()

    def _start(self, work: "asyncio._CoroutineLike[None]") -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def _retire(scorer: Scorer) -> None:
    """Close a scorer once the requests that were admitted with it are answered."""
    with suppress(asyncio.CancelledError):  # the service stops: nothing is left to wait for
        while scorer.users:
            await asyncio.sleep(_TICK_S)
    await asyncio.to_thread(scorer.close)
    await asyncio.to_thread(release_free_memory)

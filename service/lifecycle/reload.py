"""Reload: on SIGHUP, or when the files change, swap in the new model and the new API keys.

A new model is loaded and warmed up beside the one that answers. New requests get it from then on; requests that were
admitted before finish with their model. Invalid files are ignored.
"""

import asyncio
import hashlib
import logging
import os
import signal
import threading
from collections.abc import Callable
from contextlib import suppress

from service.inference.engine import load_engine
from service.inference.model_file import ModelFileError
from service.inference.scorer import Scorer
from service.inference.session import ProviderError
from service.lifecycle.file_watch import FileWatch, watched_files
from service.lifecycle.keys import Keys, KeysError
from service.lifecycle.state import State
from service.lifecycle.terminal import Terminal
from service.resources import release_free_memory

_POLL_S = 0.05
_log = logging.getLogger(__name__)


class Reload:
    """Reads model file and API keys again when asked to.

    Args:
        state: whose scorer and keys are replaced.
        read: returns the bytes of the model file.
        alone: whether this process is the only one: then it polls the files (``SERVICE_MODEL_POLL_S``) and counts the
            outcomes; otherwise the supervisor does.
    """

    def __init__(self, state: State, read: Callable[[], bytes], alone: bool) -> None:
        self._state, self._read, self._alone = state, read, alone
        self._requested, self._terminal = asyncio.Event(), Terminal()
        self._tasks: set[asyncio.Task[None]] = set()

    def install(self) -> None:
        """Start, on the event loop. Signals reach the main thread only."""
        if hasattr(signal, "SIGHUP") and threading.current_thread() is threading.main_thread():
            asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self._on_signal)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})  # one may have come while a worker started
        self._start(self._reload_on_request())
        seconds = self._state.settings.model_poll_s
        if seconds and self._alone:
            self._start(self._poll_files(seconds))

    def uninstall(self) -> None:
        """Stop."""
        if hasattr(signal, "SIGHUP") and threading.current_thread() is threading.main_thread():
            asyncio.get_running_loop().remove_signal_handler(signal.SIGHUP)
        for task in list(self._tasks):
            task.cancel()

    async def now(self) -> None:
        """Reload; what is invalid is logged and ignored."""
        self._reload_keys()
        outcome = "refused"
        try:
            outcome = await self._reload_model()
        except (ModelFileError, ProviderError) as error:
            _log.warning("new model is refused, and the one that answers stays", extra={"error": str(error)})
        except Exception:  # whatever it is, the service continues as it was
            _log.exception("new model is refused, and the one that answers stays")
        if self._alone:
            self._state.metrics.reloads.labels(outcome).inc()
        elif outcome == "refused":  # the other workers have loaded it; the one that replaces this one will, too
            os.kill(os.getpid(), signal.SIGTERM)

    def _on_signal(self) -> None:
        if self._alone and self._terminal.is_closed():
            os.kill(os.getpid(), signal.SIGTERM)
        else:
            self._requested.set()

    async def _reload_model(self) -> str:
        state = self._state
        content = await asyncio.to_thread(self._read)
        if hashlib.sha256(content).hexdigest() == state.loaded_scorer().engine.sha256:
            _log.info("model file is unchanged")
            return "unchanged"
        engine = await asyncio.to_thread(load_engine, state.settings, content)
        old = state.loaded_scorer()
        state.serve(engine)
        names = {"old": old.engine.sha256, "new": engine.sha256, "model": engine.spec.name}
        _log.info("model is swapped", extra=names | {"version": engine.spec.version})
        self._start(_close_when_unused(old))
        return "swapped"

    def _reload_keys(self) -> None:
        if path := self._state.settings.api_keys:
            try:
                self._state.keys = Keys.load(path)
                _log.info("API keys are taken up", extra={"keys": len(self._state.keys.holders)})
            except KeysError as error:
                _log.warning("new API keys are refused, and the old ones stay", extra={"error": str(error)})

    async def _reload_on_request(self) -> None:
        while True:
            await self._requested.wait()
            self._requested.clear()
            if not self._state.draining:
                await self.now()

    async def _poll_files(self, seconds: float) -> None:
        watch = FileWatch(watched_files(self._state.settings))
        while True:
            await asyncio.sleep(seconds)
            if await asyncio.to_thread(watch.changed):
                self._requested.set()

    def _start(self, work: "asyncio._CoroutineLike[None]") -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def _close_when_unused(scorer: Scorer) -> None:
    """Close a scorer once the requests that were admitted with it are answered."""
    with suppress(asyncio.CancelledError):  # the service stops: no request is left
        while scorer.users:
            await asyncio.sleep(_POLL_S)
    await asyncio.to_thread(scorer.close)
    await asyncio.to_thread(release_free_memory)

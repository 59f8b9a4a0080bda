"""Workers: processes that share the port, with one model file, which is replaced in all of them or in none."""

import functools
import logging
import multiprocessing
import os
import signal
import socket
import sys
import threading
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING

import uvicorn
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors import Multiprocess

from service import modelfile
from service.launch import StartError, load
from service.modelfile import ModelFileError
from service.settings import Settings
from service.terminal import Terminal

if TYPE_CHECKING:
    from fastapi import FastAPI

_MODEL, _KEYS = "model.onnx", "keys.txt"
_TRIAL_S = 180.0
_log = logging.getLogger(__name__)


class Workers(Multiprocess):
    """Starts the workers, replaces those that die, and hands a new model file, and new API keys, to all of them.

    A worker that takes a dead one's place gets what the others have, whatever became of the files meanwhile.

    Args:
        config: without an application.
        sockets: that they listen on.
        settings: all of them.
        folder: of this run, where what the workers read is laid down.

    Raises:
        StartError: model file or API keys cannot be used.
    """

    def __init__(self, config: uvicorn.Config, sockets: list[socket.socket], settings: Settings, folder: Path) -> None:
        from service.metrics import Metrics
        from service.reload import Watch, watched

        self._settings, self._folder = settings, folder
        self._content = self._read_model()
        self._lay_down_keys()
        self._reloads = Metrics().reloads  # counted here, once for all of them
        self._watch = Watch(watched(settings))
        self._next_look = time.monotonic()
        self._trial: Trial | None = None
        self._terminal = Terminal()
        config.app = self._application()
        super().__init__(config, sockets)

    def handle_hup(self) -> None:
        """Look at model file and API keys, and hand on what is new and good; what is not changes nothing.

        Where it means that the terminal was closed, stop.
        """
        if self._terminal.is_closed():
            self.handle_term()
            return
        try:
            self._lay_down_keys()
        except StartError as error:
            _log.warning("new API keys are refused, and the old ones stay", extra={"error": str(error)})
        try:
            content = self._read_model()
            if content == self._content:
                self._end("unchanged")
            else:
                if self._trial:
                    self._trial.end()
                self._trial = Trial(self._checked(), content)
        except StartError as error:
            self._end("refused", str(error))

    def keep_subprocess_alive(self) -> None:
        """Replace workers that died; see how a trial went; and look at the files, where that is set."""
        super().keep_subprocess_alive()
        if self._trial and (refusal := self._trial.refusal()) is not None:
            content, self._trial = self._trial.content, None
            if refusal:
                self._end("refused", refusal)
            else:
                self._take_up(content)
        seconds = self._settings.model_poll_s
        if seconds and time.monotonic() >= self._next_look:
            self._next_look = time.monotonic() + seconds
            if self._watch.changed():
                self.handle_hup()

    def _take_up(self, content: bytes) -> None:
        try:
            _lay_down(content, self._folder / _MODEL)
        except StartError as error:
            self._end("refused", str(error))
        else:
            self._content = content
            self.config.app = self._application()
            self._end("swapped")

    def _end(self, outcome: str, refusal: str = "") -> None:
        """Count what became of the model file, and let the workers look at what is laid down for them."""
        if refusal:
            _log.warning("new model is refused, and the one that answers stays", extra={"error": refusal})
        self._reloads.labels(outcome).inc()
        for process in self.processes:
            if process.pid and process.exitcode is None:
                os.kill(process.pid, signal.SIGHUP)

    def _application(self) -> "functools.partial[FastAPI]":
        return functools.partial(load_in_worker, self._checked(), self._content, self._folder / _MODEL)

    def _checked(self) -> Settings:
        """Return the settings of workers: digest and signature were held against the bytes that they are given."""
        keys = self._folder / _KEYS if self._settings.api_keys else None
        return self._settings.model_copy(update={"model_sha256": None, "model_public_key": None, "api_keys": keys})

    def _read_model(self) -> bytes:
        """Return the model file, held against digest and signature."""
        from service.signature import check_signature

        settings = self._settings
        try:
            content = modelfile.read(settings.model)
            if settings.model_sha256:
                modelfile.check_digest(content, settings.model_sha256)
            if settings.model_public_key:
                check_signature(content, settings.model, settings.model_public_key)
        except ModelFileError as error:
            raise StartError(str(error)) from None
        return content

    def _lay_down_keys(self) -> None:
        from service.keys import Keys, KeysError

        if path := self._settings.api_keys:
            try:
                keys = Keys.load(path)
            except KeysError as error:
                raise StartError(f"setting --api-keys (SERVICE_API_KEYS): {error}") from None
            _lay_down(keys.text().encode(), self._folder / _KEYS)


class Trial:
    """A new model file, loaded in a process of its own, so that nothing of it stays in this one, and nobody waits.

    Raises:
        StartError: there is no process for it.
    """

    def __init__(self, settings: Settings, content: bytes) -> None:
        self.content = content
        context = multiprocessing.get_context("spawn")
        try:
            self._answer, theirs = context.Pipe(duplex=False)
            self._process = context.Process(target=_try, args=(settings, content, theirs), daemon=True)
            self._process.start()
            theirs.close()
        except OSError as error:
            raise StartError(f"cannot be tried: {error.strerror}") from None
        self._end = time.monotonic() + _TRIAL_S

    def refusal(self) -> str | None:
        """Return why it is refused, empty where it is not; None while that is not known."""
        if not self._answer.poll():
            if time.monotonic() < self._end:
                return None
            found = f"it did not load within {_TRIAL_S:g} s"
        else:
            try:
                found = str(self._answer.recv())
            except EOFError:
                found = "the process that loaded it died"
        self.end()
        return found

    def end(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.join()
        self._answer.close()


def _try(settings: Settings, content: bytes, answer: Connection) -> None:
    from service.loading import load_engine
    from service.session import ProviderError

    try:
        load_engine(settings, content)
    except (ModelFileError, ProviderError) as error:
        answer.send(str(error))
    else:
        answer.send("")


def _lay_down(content: bytes, path: Path) -> None:
    temporary = path.with_suffix(".tmp")
    try:
        temporary.write_bytes(content)
        temporary.replace(path)
    except OSError as error:
        raise StartError(f"cannot write '{path}': {error.strerror}") from None


def load_in_worker(settings: Settings, content: bytes, staged: Path) -> "FastAPI":
    """Return the application in one of several workers; a failed start ends the first process too.

    Args:
        settings: all of them.
        content: of the model file.
        staged: where a new one will lie when this worker is told.
    """
    logging.captureWarnings(True)
    threading.Thread(target=_stop_with_parent, name="parent", daemon=True).start()

    def reread() -> bytes:
        return modelfile.read(staged) if staged.exists() else content

    try:
        return load(settings, content, reread)
    except StartError as error:
        _log.error("a worker cannot start", extra={"error": str(error)})
    except Exception:  # a worker that ends otherwise would be started again and again
        _log.exception("a worker cannot start")
    sys.exit(STARTUP_FAILURE)


def _stop_with_parent() -> None:
    """Drain and stop once the first process is gone, even by SIGKILL: nobody else would stop this one."""
    if parent := multiprocessing.parent_process():
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)

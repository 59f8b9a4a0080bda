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
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING

import uvicorn
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors import Multiprocess

from service.inference import model_file
from service.inference.model_file import ModelFileError
from service.lifecycle.terminal import Terminal
from service.server.launch import StartError, load
from service.settings import Settings

if TYPE_CHECKING:
    from fastapi import FastAPI

_MODEL, _CANDIDATE, _KEYS = "model.onnx", "candidate.onnx", "keys.txt"
_DIED = 1
_TRIAL_S = 180.0
_log = logging.getLogger(__name__)


class Workers(Multiprocess):
    """Starts the workers, replaces those that die, and hands a new model file, and new API keys, to all of them.

    A worker that takes a dead one's place gets what the others have, whatever became of the files meanwhile.

    Args:
        config: with any application: each worker gets one that is made of what is laid down for it.
        sockets: that they listen on.
        settings: all of them.
        folder: of this run, where what the workers read is laid down.

    Raises:
        StartError: model file or API keys cannot be used.
    """

    def __init__(self, config: uvicorn.Config, sockets: list[socket.socket], settings: Settings, folder: Path) -> None:
        from service.lifecycle.reload import Watch, watched
        from service.observability.metrics import Metrics

        self._settings, self._folder = settings, folder
        self._watch = Watch(watched(settings), fresh=True)
        self._next_look = time.monotonic()
        self._content, self._keys = self._read_model(), self._read_keys()
        self._lay_down()
        try:
            self._reloads = Metrics().reloads  # counted here, once for all of them
        except OSError as error:
            raise StartError(f"cannot write to '{folder}': {error.strerror}") from None
        self._trial: Trial | None = None
        self._terminal = Terminal()
        self._settled = False
        config.app = self._application()
        super().__init__(config, sockets)

    def init_processes(self) -> None:
        """Start the workers.

        Raises:
            StartError: the system has no process for one.
        """
        try:
            with _sighup_waits():
                super().init_processes()
        except OSError as error:
            self.terminate_all()
            raise StartError(f"cannot start a worker: {error.strerror}") from None

    def handle_hup(self) -> None:
        """Look at the files; or, where it means that the terminal was closed, stop."""
        if self._terminal.is_closed():
            self.handle_term()
        else:
            self._look_at_files()

    def keep_subprocess_alive(self) -> None:
        """Replace workers that died; see how a trial went; and look at the files, where that is set."""
        try:
            self._restore()
            with _sighup_waits():
                super().keep_subprocess_alive()
        except (OSError, StartError) as error:  # the next look tries again
            _log.error("a worker cannot be replaced", extra={"error": str(error)})
        if not self._settled and all(process.is_ready(1) for process in self.processes):
            self._settled = True
            self.config.app = self._application()
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
                self._look_at_files()

    def _look_at_files(self) -> None:
        """Look at model file and API keys, and hand on what is new and good; what is not changes nothing."""
        if self._trial:  # of a file that may have been taken back
            self._trial.end()
            self._trial = None
        try:
            self._keys = self._read_keys()
            _lay_down(self._keys, self._folder / _KEYS)
        except StartError as error:
            _log.warning("new API keys are refused, and the old ones stay", extra={"error": str(error)})
        try:
            content = self._read_model()
            if content == self._content:
                self._end("unchanged")
            else:
                self._trial = Trial(self._checked(), content, self._folder)
        except StartError as error:
            self._end("refused", str(error))

    def _take_up(self, content: bytes) -> None:
        try:
            _lay_down(content, self._folder / _MODEL)
        except StartError as error:
            self._end("refused", str(error))
        else:
            self._content = content
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
        # By paths: of a worker that dies while much is being sent to it this process would never learn.
        return functools.partial(load_in_worker, self._checked(), self._folder / _MODEL, not self._settled)

    def _checked(self) -> Settings:
        """Return the settings of workers: digest and signature were held against the bytes that are laid down."""
        keys = self._folder / _KEYS if self._settings.api_keys else None
        return self._settings.model_copy(update={"model_sha256": None, "model_public_key": None, "api_keys": keys})

    def _lay_down(self) -> None:
        _lay_down(self._content, self._folder / _MODEL)
        _lay_down(self._keys, self._folder / _KEYS)

    def _restore(self) -> None:
        """Lay down anew what somebody has tidied away, before a worker needs it."""
        if not ((self._folder / _MODEL).exists() and (self._folder / _KEYS).exists()):
            self._lay_down()

    def _read_model(self) -> bytes:
        """Return the model file, held against digest and signature."""
        from service.inference.signature import check_signature

        settings = self._settings
        try:
            content = model_file.read(settings.model)
            if settings.model_sha256:
                model_file.check_digest(content, settings.model_sha256)
            if settings.model_public_key:
                check_signature(content, settings.model, settings.model_public_key)
        except ModelFileError as error:
            raise StartError(str(error)) from None
        return content

    def _read_keys(self) -> bytes:
        from service.lifecycle.keys import Keys, KeysError

        if self._settings.api_keys is None:
            return b""
        try:
            return Keys.load(self._settings.api_keys).text().encode()
        except KeysError as error:
            raise StartError(f"setting --api-keys (SERVICE_API_KEYS): {error}") from None


class Trial:
    """A new model file, loaded in a process of its own, so that nothing of it stays in this one, and nobody waits.

    Args:
        settings: of workers.
        content: of the file.
        folder: where it is laid down for that process.

    Raises:
        StartError: there is no process, or no room, for it.
    """

    def __init__(self, settings: Settings, content: bytes, folder: Path) -> None:
        self.content, self._path = content, folder / _CANDIDATE
        _lay_down(content, self._path)
        context = multiprocessing.get_context("spawn")
        try:
            self._answer, theirs = context.Pipe(duplex=False)
            self._process = context.Process(target=_try, args=(settings, self._path, theirs), daemon=True)
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
        self._path.unlink(missing_ok=True)


def _try(settings: Settings, path: Path, answer: Connection) -> None:
    from service.inference.engine import load_engine
    from service.inference.session import ProviderError

    try:
        load_engine(settings, model_file.read(path))
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


@contextmanager
def _sighup_waits() -> Iterator[None]:
    """Let SIGHUP wait in processes that are started meanwhile, until they have a handler: by default it kills."""
    if not hasattr(signal, "SIGHUP"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def load_in_worker(settings: Settings, model: Path, fatal: bool) -> "FastAPI":
    """Return the application in one of several workers.

    Args:
        settings: all of them.
        model: where its file is laid down, and a new one will be.
        fatal: whether a failed start ends the first process too; else it tries again.
    """
    logging.captureWarnings(True)
    threading.Thread(target=_stop_with_parent, name="parent", daemon=True).start()
    try:
        return load(settings, model_file.read(model), lambda: model_file.read(model))
    except (StartError, ModelFileError) as error:
        _log.error("a worker cannot start", extra={"error": str(error)})
    except Exception:  # whatever it is, it is said once, and the status tells the first process what to do
        _log.exception("a worker cannot start")
    sys.exit(STARTUP_FAILURE if fatal else _DIED)


def _stop_with_parent() -> None:
    """Drain and stop once the first process is gone, even by SIGKILL: nobody else would stop this one."""
    if parent := multiprocessing.parent_process():
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)

"""The supervisor of the workers: uvicorn's, with one model file that is replaced in all workers or in none.

What uvicorn 0.54 does itself is left to it: starting workers, health checks, replacing workers that died, and stopping.
On SIGHUP it restarts the workers one by one, each with whatever lies on the disk by then; tests show what is added:

- a new model file is loaded in a process of its own first, and nothing changes where it is refused;
- the workers swap the model without a restart, so that no request is lost;
- a worker that replaces a dead one gets the model and the API keys of the others, even if the files have changed;
- workers stop when the supervisor is killed.
"""

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
from pathlib import Path
from typing import TYPE_CHECKING

import uvicorn
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors import Multiprocess

from service.errors import StartError
from service.inference import model_file
from service.inference.engine_options import ModelSource
from service.inference.model_file import ModelFileError
from service.lifecycle.file_watch import FileWatch, watched_files
from service.lifecycle.keys import Keys, KeysError
from service.lifecycle.terminal import Terminal
from service.server.trial import Trial, write_whole
from service.settings import Settings

if TYPE_CHECKING:
    from fastapi import FastAPI

_MODEL, _KEYS = "model.onnx", "keys.txt"
_DIED = 1
_log = logging.getLogger(__name__)


class Supervisor(Multiprocess):
    """Starts the workers, replaces those that die, and hands a new model file and new API keys to all of them.

    Args:
        config: whose application is set here.
        sockets: that the workers listen on.
        settings: all of them.
        folder: of this run, for the files that the workers read.

    Raises:
        StartError: model file or API keys cannot be used.
    """

    def __init__(self, config: uvicorn.Config, sockets: list[socket.socket], settings: Settings, folder: Path) -> None:
        from service.observability.metrics import Metrics  # reads the folder of the metrics when it is imported

        self._settings, self._folder = settings, folder
        self._watch = FileWatch(watched_files(settings), fresh=True)
        self._next_poll = time.monotonic()
        self._model, self._keys = self._read_model(), self._read_keys()
        self._write_files()
        try:
            self._reloads = Metrics().reloads  # counted here, once for all workers
        except OSError as error:
            raise StartError(f"cannot write to '{folder}': {error.strerror}") from None
        self._trial: Trial | None = None
        self._terminal = Terminal()
        self._all_started = False
        config.app = self._application()
        super().__init__(config, sockets)

    def init_processes(self) -> None:
        """Start the workers.

        Raises:
            StartError: the system cannot start a process.
        """
        try:
            with _sighup_blocked():
                super().init_processes()
        except OSError as error:
            self.terminate_all()
            raise StartError(f"cannot start a worker: {error.strerror}") from None

    def handle_hup(self) -> None:
        """Check the files; stop instead where the signal means that the terminal was closed."""
        if self._terminal.is_closed():
            self.handle_term()
        else:
            self._check_files()

    def keep_subprocess_alive(self) -> None:
        """Replace dead workers, finish a trial, and poll the files where polling is on."""
        try:
            if not ((self._folder / _MODEL).exists() and (self._folder / _KEYS).exists()):
                self._write_files()  # a cleaner of temporary files removed them
            with _sighup_blocked():
                super().keep_subprocess_alive()
        except (OSError, StartError) as error:  # the next health check tries again
            _log.error("a worker cannot be replaced", extra={"error": str(error)})
        if not self._all_started and all(process.is_ready(1) for process in self.processes):
            self._all_started = True
            self.config.app = self._application()
        if self._trial and (refusal := self._trial.refusal()) is not None:
            content, self._trial = self._trial.content, None
            if refusal:
                self._finish("refused", refusal)
            else:
                self._swap(content)
        seconds = self._settings.model_poll_s
        if seconds and time.monotonic() >= self._next_poll:
            self._next_poll = time.monotonic() + seconds
            if self._watch.changed():
                self._check_files()

    def _check_files(self) -> None:
        """Read model file and API keys, and hand on what is new and valid. Invalid files are ignored."""
        if self._trial:  # of a file that may have been replaced meanwhile
            self._trial.end()
            self._trial = None
        try:
            self._keys = self._read_keys()
            write_whole(self._keys, self._folder / _KEYS)
        except StartError as error:
            _log.warning("new API keys are refused, and the old ones stay", extra={"error": str(error)})
        try:
            content = self._read_model()
            if content == self._model:
                self._finish("unchanged")
            else:
                self._trial = Trial(self._worker_settings(), content, self._folder)
        except StartError as error:
            self._finish("refused", str(error))

    def _swap(self, content: bytes) -> None:
        try:
            write_whole(content, self._folder / _MODEL)
        except StartError as error:
            self._finish("refused", str(error))
        else:
            self._model = content
            self._finish("swapped")

    def _finish(self, outcome: str, refusal: str = "") -> None:
        """Count the outcome, and let the workers read their files."""
        if refusal:
            _log.warning("new model is refused, and the one that answers stays", extra={"error": refusal})
        self._reloads.labels(outcome).inc()
        for process in self.processes:
            if process.pid and process.exitcode is None:
                os.kill(process.pid, signal.SIGHUP)

    def _application(self) -> "functools.partial[FastAPI]":
        # The model is passed by its path: the supervisor would hang on a worker that dies while much is sent to it.
        return functools.partial(load_in_worker, self._worker_settings(), self._folder / _MODEL, not self._all_started)

    def _worker_settings(self) -> Settings:
        """Return the settings of the workers; digest and signature have been checked here."""
        keys = self._folder / _KEYS if self._settings.api_keys else None
        return self._settings.model_copy(update={"model_sha256": None, "model_public_key": None, "api_keys": keys})

    def _write_files(self) -> None:
        write_whole(self._model, self._folder / _MODEL)
        write_whole(self._keys, self._folder / _KEYS)

    def _read_model(self) -> bytes:
        settings = self._settings
        try:
            content = model_file.read(settings.model)
            ModelSource(settings.model, settings.model_sha256, settings.model_public_key).check(content)
        except ModelFileError as error:
            raise StartError(str(error)) from None
        return content

    def _read_keys(self) -> bytes:
        if self._settings.api_keys is None:
            return b""
        try:
            return Keys.load(self._settings.api_keys).text().encode()
        except KeysError as error:
            raise StartError(f"setting --api-keys (SERVICE_API_KEYS): {error}") from None


def load_in_worker(settings: Settings, model: Path, fatal: bool) -> "FastAPI":
    """Return the application of a worker.

    Args:
        settings: of the worker.
        model: path of the model file, where a new one will be written, too.
        fatal: whether a failed start ends the supervisor; otherwise it tries again.
    """
    logging.captureWarnings(True)
    threading.Thread(target=_stop_with_supervisor, name="supervisor", daemon=True).start()
    try:
        from service.app import load_app

        return load_app(settings, model_file.read(model), lambda: model_file.read(model))
    except (StartError, ModelFileError) as error:
        _log.error("a worker cannot start", extra={"error": str(error)})
    except Exception:  # logged once; the exit status tells the supervisor what to do
        _log.exception("a worker cannot start")
    sys.exit(STARTUP_FAILURE if fatal else _DIED)


def _stop_with_supervisor() -> None:
    """Drain and stop once the supervisor is gone, even by SIGKILL."""
    if parent := multiprocessing.parent_process():
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)


@contextmanager
def _sighup_blocked() -> Iterator[None]:
    """Block SIGHUP in processes that are started meanwhile, until they handle it: its default action ends them."""
    if not hasattr(signal, "SIGHUP"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)

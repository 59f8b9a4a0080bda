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

if TYPE_CHECKING:
    from fastapi import FastAPI

_STAGED = "model.onnx"
_PROOF_S = 180.0
_log = logging.getLogger(__name__)


class Workers(Multiprocess):
    """Starts the workers, replaces those that die, and hands a new model file to all of them.

    Args:
        config: without an application.
        sockets: that they listen on.
        settings: all of them.
        folder: of this run, where a new model file is laid down for them.

    Raises:
        StartError: the model file cannot be read, or is another than asked for.
    """

    def __init__(self, config: uvicorn.Config, sockets: list[socket.socket], settings: Settings, folder: Path) -> None:
        from service.reload import Watch, watched

        self._settings, self._staged = settings, folder / _STAGED
        # Once, so that a worker that is replaced serves the model that the others do, whatever became of the file.
        self._content = self._read()
        self._watch = Watch(watched(settings))
        self._next_look = time.monotonic()
        config.app = self._application()
        super().__init__(config, sockets)

    def handle_hup(self) -> None:
        """Take up a new model file, if it would start; and tell the workers, who look for new API keys too."""
        try:
            content = self._read()
            if content != self._content:
                _prove(self._settings, content)
                self._lay_down(content)
                self._content = content
                self.config.app = self._application()
        except StartError as error:
            _log.warning("new model is refused, and the one that answers stays", extra={"error": str(error)})
        for process in self.processes:
            if process.pid and process.exitcode is None:
                os.kill(process.pid, signal.SIGHUP)

    def keep_subprocess_alive(self) -> None:
        """Replace workers that died; and look at the files, where that is set."""
        super().keep_subprocess_alive()
        seconds = self._settings.model_poll_s
        if seconds and time.monotonic() >= self._next_look:
            self._next_look = time.monotonic() + seconds
            if self._watch.changed():
                self.handle_hup()

    def _application(self) -> "functools.partial[FastAPI]":
        # Digest and signature were held against the bytes; the signature lies beside the file, not beside the copy.
        checked = self._settings.model_copy(update={"model_sha256": None, "model_public_key": None})
        return functools.partial(load_in_worker, checked, self._content, self._staged)

    def _read(self) -> bytes:
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

    def _lay_down(self, content: bytes) -> None:
        temporary = self._staged.with_suffix(".tmp")
        try:
            temporary.write_bytes(content)
            temporary.replace(self._staged)
        except OSError as error:
            raise StartError(f"cannot write '{self._staged}': {error.strerror}") from None


def _prove(settings: Settings, content: bytes) -> None:
    """Load a model file in a process of its own, so that nothing of it stays in this one.

    Raises:
        StartError: it does not load.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_load_once, args=(settings, content, theirs), daemon=True)
    process.start()
    theirs.close()
    try:
        refusal = ours.recv() if ours.poll(_PROOF_S) else f"it did not load within {_PROOF_S:g} s"
    except EOFError:
        refusal = "the process that loaded it died"
    process.kill()
    process.join()
    if refusal:
        raise StartError(refusal)


def _load_once(settings: Settings, content: bytes, answer: Connection) -> None:
    from service.loading import load_engine
    from service.session import ProviderError

    try:
        checked = settings.model_copy(update={"model_sha256": None, "model_public_key": None})
        load_engine(checked, content)
    except (ModelFileError, ProviderError) as error:
        answer.send(str(error))
    else:
        answer.send("")


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

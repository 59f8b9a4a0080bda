"""The trial of a new model file: loaded in a process of its own, so that the supervisor neither waits nor grows."""

import multiprocessing
import time
from contextlib import ExitStack, closing
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final

from service.errors import StartError
from service.inference import model_file
from service.inference.model_file import ModelFileError
from service.inference.session import ProviderError
from service.settings import Settings

_FILE: Final = "candidate.onnx"
_TIMEOUT_S: Final = 180.0


class Trial:
    """A process that loads a new model file.

    Args:
        settings: of the workers.
        content: the bytes of the file.
        folder: where the process reads them.

    Raises:
        StartError: there is no process, or no disk space, for it.

    Attributes:
        content: the bytes of the file.
    """

    def __init__(self, settings: Settings, content: bytes, folder: Path) -> None:
        self.content, self._path = content, folder / _FILE
        write_whole(content, self._path)
        context = multiprocessing.get_context("spawn")
        with ExitStack() as on_failure:
            on_failure.callback(self._path.unlink, missing_ok=True)
            try:
                self._answer, worker_end = context.Pipe(duplex=False)
                with closing(worker_end):
                    on_failure.callback(self._answer.close)
                    self._process = context.Process(target=_load, args=(settings, self._path, worker_end), daemon=True)
                    self._process.start()
            except OSError as error:
                raise StartError(f"cannot be tried: {error.strerror}") from None
            on_failure.pop_all()
        self._deadline = time.monotonic() + _TIMEOUT_S

    def refusal(self) -> str | None:
        """Return why the file is refused, empty where it is not; None while the process is loading it."""
        if self._answer.poll():
            try:
                refusal = str(self._answer.recv())
            except EOFError:
                refusal = "the process that loaded it died"
        elif time.monotonic() < self._deadline:
            return None
        else:
            refusal = f"it did not load within {_TIMEOUT_S:g} s"
        self.end()
        return refusal

    def end(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.join()
        self._answer.close()
        self._path.unlink(missing_ok=True)


def write_whole(content: bytes, path: Path) -> None:
    """Write a file so that a reader sees the old or the new content, never a part.

    Raises:
        StartError: the file cannot be written.
    """
    temporary = path.with_suffix(".tmp")
    try:
        temporary.write_bytes(content)
        temporary.replace(path)
    except OSError as error:
        raise StartError(f"cannot write '{path}': {error.strerror}") from None


def _load(settings: Settings, path: Path, answer: Connection) -> None:
    from service.inference.engine import load_engine

    try:
        load_engine(settings, model_file.read(path))
    except (ModelFileError, ProviderError) as error:
        answer.send(str(error))
    else:
        answer.send("")

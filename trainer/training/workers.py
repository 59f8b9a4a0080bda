"""Workers: processes that augment pictures, so that many cores keep one GPU busy.

A worker imports neither Keras nor a backend, so it is small. Each has a pipe of its own, so one that is killed, at
whatever moment, is the end of its pipe and not a wait without end, as it can be in a pool whose processes share one.
"""

import os
import signal
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from queue import SimpleQueue

import numpy as np
from numpy.typing import NDArray

from trainer.common.errors import WorkerLost
from trainer.training.augmented_pictures import AugmentedPictures, Tensors

# A fork of a process in which a backend's threads run may hang.
_SPAWN = get_context("spawn")
_BLAS_THREADS = "OPENBLAS_NUM_THREADS"


class Workers:
    """Processes that make batches of :class:`AugmentedPictures`, and end with the process that started them."""

    def __init__(self, pictures: AugmentedPictures, processes: int) -> None:
        """Begin nothing yet: the processes start with the first batch."""
        self._pictures, self._count = pictures, processes
        self._idle: SimpleQueue[Connection] = SimpleQueue()
        self._processes: list[SpawnProcess] = []
        self._starting = threading.Lock()
        self._closed = False
        self.lost = False

    def batch(self, epoch: int, rows: NDArray[np.int64]) -> Tensors:
        """Return what :meth:`AugmentedPictures.batch` returns; call it from as many threads as there are processes.

        Args:
            epoch: decides the augmentation.
            rows: int64 ``[n]``.

        Raises:
            WorkerLost: a process was killed or did not start, or the workers are closed.
            RuntimeError: something went wrong in the process; the message is its trace.
        """
        self._start()
        connection = self._idle.get()
        try:
            connection.send((epoch, rows))
            answer: Tensors | str = connection.recv()
        except (OSError, EOFError) as error:
            if not self._closed:
                self.lost = True
            raise WorkerLost from error
        finally:
            self._idle.put(connection)  # a dead one too, for every thread to learn of it
        if isinstance(answer, str):
            raise RuntimeError(f"in a process that augments pictures:\n{answer}")
        return answer

    def close(self) -> None:
        """End the processes; a thread that waits for one of them gets ``WorkerLost``."""
        with self._starting:
            self._closed = True
            for process in self._processes:
                process.kill()  # it has nothing to put in order
            for process in self._processes:
                process.join()

    def _start(self) -> None:
        """Start the processes side by side at the first batch, and then give each the pictures."""
        with self._starting:
            if self.lost or self._closed:
                raise WorkerLost
            if self._processes:
                return
            try:
                for connection in self._started():
                    connection.send(self._pictures)
                    self._idle.put(connection)
            except OSError as error:
                self.lost = True
                raise WorkerLost from error
            except BaseException:
                self._closed = True  # so that no other thread waits for what never started
                raise

    def _started(self) -> list[Connection]:
        connections = []
        with _untouched_by_ctrl_c():
            for _ in range(self._count):
                here, there = _SPAWN.Pipe()
                process = _SPAWN.Process(target=_work, args=(there,), daemon=True)
                process.start()
                there.close()  # so that the pipe ends with the worker
                self._processes.append(process)
                connections.append(here)
        return connections


@contextmanager
def _untouched_by_ctrl_c() -> Iterator[None]:
    """Keep Ctrl-C, which is for the process that trains, from what starts here; it would show a trace before it could.

    Nor does it start a thread of OpenBLAS for every core: augmentation multiplies no large matrices.
    """
    from multiprocessing import resource_tracker

    resource_tracker.ensure_running()  # it would lift the mask when the first worker starts it
    before = os.environ.get(_BLAS_THREADS)
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    os.environ[_BLAS_THREADS] = "1"
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        del os.environ[_BLAS_THREADS]
        if before is not None:
            os.environ[_BLAS_THREADS] = before


def _work(connection: Connection) -> None:
    """Be a worker until the process that trains ends, which is the end of the pipe."""
    with suppress(OSError, EOFError):
        pictures: AugmentedPictures = connection.recv()
        while True:
            epoch, rows = connection.recv()
            try:
                connection.send(pictures.batch(epoch, rows))
            except Exception:
                connection.send(traceback.format_exc())

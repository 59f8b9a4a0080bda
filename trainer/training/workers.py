"""Worker processes that augment pictures, so that many cores keep one GPU busy.

Workers import neither Keras nor a backend, so they use little memory. Each worker has its own pipe: if it is killed,
the pipe closes. In a pool with one shared pipe, the parent could wait forever.
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

# Forking a process with running backend threads can hang.
_SPAWN = get_context("spawn")
_BLAS_THREADS = "OPENBLAS_NUM_THREADS"


class Workers:
    """Processes that make batches of :class:`AugmentedPictures` and end with the process that started them."""

    def __init__(self, pictures: AugmentedPictures, processes: int) -> None:
        """Store the arguments; the processes start with the first batch."""
        self._pictures, self._count = pictures, processes
        self._idle: SimpleQueue[Connection] = SimpleQueue()
        self._processes: list[SpawnProcess] = []
        self._starting = threading.Lock()
        self._closed = False
        self.lost = False

    def batch(self, epoch: int, rows: NDArray[np.int64]) -> Tensors:
        """Return the result of :meth:`AugmentedPictures.batch`; call it from at least one thread per process.

        Args:
            epoch: epoch, which determines the augmentation.
            rows: int64 ``[n]``.

        Raises:
            WorkerLost: a process was killed or did not start, or the workers are closed.
            RuntimeError: the worker raised an exception; the message is its traceback.
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
            self._idle.put(connection)  # also if it is closed, so that every thread sees the error
        if isinstance(answer, str):
            raise RuntimeError(f"a process that augments pictures failed:\n{answer}")
        return answer

    def close(self) -> None:
        """Kill the processes; threads that wait for a worker get ``WorkerLost``."""
        with self._starting:
            self._closed = True
            for process in self._processes:
                process.kill()  # workers have nothing to clean up
            for process in self._processes:
                process.join()

    def _start(self) -> None:
        """Start all processes at the first batch, then send the pictures to each."""
        with self._starting:
            if self.lost or self._closed:
                raise WorkerLost
            if self._processes:
                return
            try:
                for connection in self._spawn_workers():
                    connection.send(self._pictures)
                    self._idle.put(connection)
            except OSError as error:
                self.lost = True
                raise WorkerLost from error
            except BaseException:
                self._closed = True  # no other thread may wait for workers that never started
                raise

    def _spawn_workers(self) -> list[Connection]:
        connections = []
        with _spawn_environment():
            for _ in range(self._count):
                parent_end, worker_end = _SPAWN.Pipe()
                process = _SPAWN.Process(target=_work, args=(worker_end,), daemon=True)
                process.start()
                worker_end.close()  # so that the pipe closes when the worker ends
                self._processes.append(process)
                connections.append(parent_end)
        return connections


@contextmanager
def _spawn_environment() -> Iterator[None]:
    """Block SIGINT in processes started inside the block, and limit each to one OpenBLAS thread.

    Only the training process handles Ctrl-C; a starting worker would print a traceback before it could ignore it.
    Augmentation multiplies no large matrices, so one OpenBLAS thread is enough.
    """
    from multiprocessing import resource_tracker

    resource_tracker.ensure_running()  # otherwise the first worker starts it and it unblocks SIGINT
    previous = os.environ.get(_BLAS_THREADS)
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    os.environ[_BLAS_THREADS] = "1"
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        del os.environ[_BLAS_THREADS]
        if previous is not None:
            os.environ[_BLAS_THREADS] = previous


def _work(connection: Connection) -> None:
    """Serve batches until the training process ends, which closes the pipe."""
    with suppress(OSError, EOFError):
        pictures: AugmentedPictures = connection.recv()
        while True:
            epoch, rows = connection.recv()
            try:
                connection.send(pictures.batch(epoch, rows))
            except Exception:
                connection.send(traceback.format_exc())

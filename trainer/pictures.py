"""Pictures of a batch, augmented: in this process, or in processes of their own where many cores feed one GPU.

Workers read the tensors from the files they are mapped from, and import neither Keras nor a backend, so each is small.
"""

import os
import signal
import threading
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, fields
from multiprocessing import get_context, parent_process
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.contract.faces import Face
from trainer.augment import Augment
from trainer.errors import WorkerLost
from trainer.mapped import received, release, to_send

Tensors = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Pictures:
    """Cached tensors and what is done to them; the same ``(seed, epoch, row, view)`` gives the same picture anywhere.

    Attributes:
        served: uint8 ``[N, H, W, 3]``, as served.
        larger: uint8 ``[N, H', W', 3]`` of the same pictures, for ``augment`` to crop from.
        faces: of each picture, in pixels of ``larger``.
        augment: what to do to each picture; None gives it as served.
        views: how often each picture stands in a batch, one after the other and augmented anew.
        seed: of the augmentation.
    """

    served: Tensors
    larger: Tensors
    faces: Sequence[Face | None] | None = None
    augment: Augment | None = None
    views: int = 1
    seed: int = 0

    def batch(self, epoch: int, rows: NDArray[np.int64]) -> Tensors:
        """Return uint8 ``[len(rows) * views, H, W, 3]``."""
        made = np.stack([self._picture(epoch, row, view) for row in rows for view in range(self.views)])
        release(self.served, self.larger)
        return made

    def _picture(self, epoch: int, row: np.int64, view: int) -> Tensors:
        if self.augment is None:
            return np.asarray(self.served[row])
        rng = np.random.default_rng((self.seed, epoch, int(row), *([view] if view else [])))
        return self.augment(self.larger[row], self.served[row], rng, self.faces[row] if self.faces else None)

    def __getstate__(self) -> list[Any]:
        """Send the names of mapped files in place of what they hold."""
        return [to_send(getattr(self, field.name)) for field in fields(self)]

    def __setstate__(self, state: list[Any]) -> None:
        """Map the files again."""
        for field, value in zip(fields(self), state, strict=True):
            object.__setattr__(self, field.name, received(value))


class Workers:
    """Processes that make batches of :class:`Pictures`; they end with the process that began them, however it ends."""

    def __init__(self, pictures: Pictures, processes: int) -> None:
        """Begin nothing yet: the processes start with the first batch."""
        # A fork of a process in which a backend's threads run may hang.
        self._pool = ProcessPoolExecutor(processes, get_context("spawn"), initializer=_begin, initargs=(pictures,))
        self.lost = False

    def batch(self, epoch: int, rows: NDArray[np.int64]) -> Tensors:
        """Return what :meth:`Pictures.batch` does; called by as many threads as there are to be busy processes.

        Raises:
            WorkerLost: a process was killed, and the others with it.
        """
        try:
            return self._pool.submit(_batch, epoch, rows).result()
        except BrokenProcessPool as error:
            self.lost = True
            raise WorkerLost from error

    def close(self) -> None:
        """End the processes."""
        self._pool.shutdown(cancel_futures=True)


_pictures: Pictures


def _begin(pictures: Pictures) -> None:
    """Begin a worker: Ctrl-C is for the process that trains, and a worker outlives it by nothing."""
    global _pictures
    _pictures = pictures
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = parent_process()
    if parent:
        parent.join()
        os._exit(1)


def _batch(epoch: int, rows: NDArray[np.int64]) -> Tensors:
    return _pictures.batch(epoch, rows)

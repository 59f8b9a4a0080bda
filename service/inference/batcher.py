"""Micro-batching: collect waiting entries into batches and run each batch in the thread that completes it.

Without a window nothing is delayed: a thread that has decoded a picture runs the model itself if a run is free (decode
and inference in one hop). Otherwise the picture waits, and the next thread whose run ends takes all waiting entries, up
to ``max_batch`` rows. With a window, a batch also waits from its first picture until it is full or the window has
passed.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Run = Callable[[NDArray[np.uint8]], NDArray[np.float32]]


class Entry(Protocol):
    """Rows waiting for the model. :meth:`deliver` and :meth:`fail` must not raise.

    Attributes:
        tensors: uint8 ``[n, H, W, 3]``, 1 to ``max_batch`` rows.
        arrived: start of the wait, :func:`time.perf_counter` seconds; set by the batcher.
    """

    tensors: NDArray[np.uint8]
    arrived: float

    def abandoned(self) -> bool:
        """Return whether the result is no longer needed."""

    def deliver(self, logits: NDArray[np.float32], started: float, ended: float) -> None:
        """Receive the rows' logits, and the start and end of their run (:func:`time.perf_counter`)."""

    def fail(self, error: Exception) -> None:
        """Receive the error of the rows' run."""


class Batcher:
    """Collects entries into batches and runs them; every entry is delivered, failed or abandoned.

    Args:
        run: the model; called from the threads that call :meth:`submit` and from a timer thread.
        max_batch: maximum number of rows in one run.
        window_s: maximum wait of a batch that is not full, seconds; 0: no wait.
        in_flight: maximum number of concurrent runs.
        observe: called with the number of rows of each run.
    """

    def __init__(
        self, run: Run, max_batch: int, window_s: float, in_flight: int, observe: Callable[[int], None]
    ) -> None:
        self._run, self._observe = run, observe
        self._max_batch, self._window_s, self._in_flight = max_batch, window_s, in_flight
        self._lock = threading.Lock()
        self._waiting: deque[Entry] = deque()
        self._running = 0
        self._timer_set = False

    def submit(self, entries: Sequence[Entry]) -> None:
        """Queue entries together, and run the batches that are due in this thread.

        Args:
            entries: entries of at most ``max_batch`` rows each.
        """
        with self._lock:
            for entry in entries:
                entry.arrived = time.perf_counter()
                self._waiting.append(entry)
            batch = self._take_due_batch()
        self._run_due_batches(batch)

    def _run_due_batches(self, batch: list[Entry]) -> None:
        """Run batches until none is due; each takes the entries that arrived during the previous run."""
        while batch:
            try:
                self._run_batch(batch)
            finally:
                with self._lock:
                    self._running -= 1
                    batch = self._take_due_batch()

    def _run_batch(self, batch: list[Entry]) -> None:
        started = time.perf_counter()
        try:
            tensors = batch[0].tensors if len(batch) == 1 else np.concatenate([entry.tensors for entry in batch])
            logits = self._run(tensors)
        except Exception as error:  # every waiting entry must learn of any error
            for entry in batch:
                entry.fail(error)
            return
        ended, start = time.perf_counter(), 0
        for entry in batch:
            stop = start + len(entry.tensors)
            entry.deliver(logits[start:stop], started, ended)
            start = stop
        self._observe(start)

    def _take_due_batch(self) -> list[Entry]:
        """Remove the batch that is due from the queue and count its run. The lock must be held."""
        while self._waiting and self._waiting[0].abandoned():
            self._waiting.popleft()
        if self._running >= self._in_flight or not self._waiting:
            return []
        if self._window_s:
            remaining_s = self._waiting[0].arrived + self._window_s - time.perf_counter()
            is_full = sum(len(entry.tensors) for entry in self._waiting) >= self._max_batch
            if remaining_s > 0 and not is_full and self._start_timer(remaining_s):
                return []
        batch: list[Entry] = []
        rows = 0
        while self._waiting and rows + len(self._waiting[0].tensors) <= self._max_batch:
            entry = self._waiting.popleft()
            if not entry.abandoned():
                batch.append(entry)
                rows += len(entry.tensors)
        self._running += bool(batch)
        return batch

    def _start_timer(self, seconds: float) -> bool:
        """Start the window timer unless it runs; return False if the system cannot start a thread."""
        if not self._timer_set:
            timer = threading.Timer(seconds, self._window_closed)
            timer.daemon = True
            try:
                timer.start()
            except RuntimeError:
                return False
            self._timer_set = True
        return True

    def _window_closed(self) -> None:
        with self._lock:
            self._timer_set = False
            batch = self._take_due_batch()
        self._run_due_batches(batch)

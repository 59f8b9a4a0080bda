"""Micro-batches: what waits for the model meets here, and runs in the thread that made it due.

Without a window nothing is delayed: a thread that has decoded a picture runs the model itself if a run
is free (decode and inference in one hop); else its picture waits, and the next thread whose run ends
takes all that waits, up to ``max_batch`` rows. With a window a batch also waits, from its first
picture on, until it is full or the window has passed.
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
    """Rows that wait for the model. What it does when delivered or failed must not raise.

    Attributes:
        tensors: uint8 ``[n, H, W, 3]``, 1 to ``max_batch`` rows.
        arrived: when it began to wait, :func:`time.perf_counter` seconds; set by the batcher.
    """

    tensors: NDArray[np.uint8]
    arrived: float

    def abandoned(self) -> bool:
        """Return whether nobody waits for the answer any more."""

    def deliver(self, logits: NDArray[np.float32], started: float, ended: float) -> None:
        """Take the rows' logits, and when their run started and ended (:func:`time.perf_counter`)."""

    def fail(self, error: Exception) -> None:
        """Take the error of the run that the rows were part of."""


class Batcher:
    """Brings entries together and runs them; every entry is delivered, failed or abandoned.

    Args:
        run: the model; called from the threads that call :meth:`submit`, and from a timer's.
        max_batch: most rows in one run.
        window_s: how long a batch that is not full waits for more, seconds; 0: not at all.
        in_flight: most runs at once.
        observe: called with the rows of each run.
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
        """Let entries wait, all of them at once, and run what is due in this thread.

        Args:
            entries: of at most ``max_batch`` rows each.
        """
        with self._lock:
            for entry in entries:
                entry.arrived = time.perf_counter()
                self._waiting.append(entry)
            batch = self._due()
        self._work(batch)

    def _work(self, batch: list[Entry]) -> None:
        """Run batch after batch until none is due; each finds what came while the last one ran."""
        while batch:
            try:
                self._run_one(batch)
            finally:
                with self._lock:
                    self._running -= 1
                    batch = self._due()

    def _run_one(self, batch: list[Entry]) -> None:
        started = time.perf_counter()
        try:
            tensors = batch[0].tensors if len(batch) == 1 else np.concatenate([entry.tensors for entry in batch])
            logits = self._run(tensors)
        except Exception as error:  # whatever it is, those who wait must learn of it
            for entry in batch:
                entry.fail(error)
            return
        ended, first = time.perf_counter(), 0
        for entry in batch:
            last = first + len(entry.tensors)
            entry.deliver(logits[first:last], started, ended)
            first = last
        self._observe(first)

    def _due(self) -> list[Entry]:
        """Take what is to run now and count the run; the lock is held."""
        while self._waiting and self._waiting[0].abandoned():
            self._waiting.popleft()
        if self._running >= self._in_flight or not self._waiting:
            return []
        if self._window_s:
            closes_in = self._waiting[0].arrived + self._window_s - time.perf_counter()
            full = sum(len(entry.tensors) for entry in self._waiting) >= self._max_batch
            if closes_in > 0 and not full and self._wake_in(closes_in):
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

    def _wake_in(self, seconds: float) -> bool:
        """Return whether somebody will look again then; not where the system has no thread left for it."""
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
            batch = self._due()
        self._work(batch)

"""The threads that decode pictures, and run the model where a run is free."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import SimpleQueue

_CLOSE_TIMEOUT_S = 2.0


class DecodePool:
    """Threads that call functions in the order of their submission.

    :class:`concurrent.futures.ThreadPoolExecutor` is not used: it waits at exit for a thread that hangs in a decoder.

    Args:
        threads: number of threads.
    """

    def __init__(self, threads: int) -> None:
        self._queue: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._busy_since: dict[int, float] = {}
        self._threads = [
            threading.Thread(target=self._work, name=f"decode-{number}", daemon=True) for number in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, function: Callable[[], None]) -> None:
        """Queue a function, which must not raise."""
        self._queue.put(function)

    @contextmanager
    def busy(self) -> Iterator[None]:
        """Mark the current thread as busy with one picture or one run, for :meth:`longest_busy_s`."""
        thread = threading.get_ident()
        self._busy_since[thread] = time.perf_counter()
        try:
            yield
        finally:
            del self._busy_since[thread]

    def longest_busy_s(self) -> float:
        """Return for how many seconds the longest-busy thread has been busy; 0 where none is."""
        now = time.perf_counter()
        return max((now - since for since in list(self._busy_since.values())), default=0.0)

    def close(self) -> None:
        """End the threads once their current work is done; a thread that hangs is left behind."""
        for _ in self._threads:
            self._queue.put(None)
        deadline = time.monotonic() + _CLOSE_TIMEOUT_S
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _work(self) -> None:
        while (function := self._queue.get()) is not None:
            function()
            del function  # holds its job until the next one arrives otherwise

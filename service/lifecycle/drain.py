"""Graceful shutdown: on SIGTERM or Ctrl-C, finish accepted requests, refuse new ones with 503, then stop."""

import asyncio
import signal
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_TICK_S = 0.02


class Drain:
    """Signal handlers that wait for accepted requests before they call the server's own, which stop listening at once.

    Args:
        begin: called at the first signal.
        in_flight: returns the number of accepted requests in progress.
        timeout_s: maximum wait for these requests, seconds. A second Ctrl-C ends the wait immediately.
        min_s: minimum wait, seconds.
    """

    def __init__(
        self, begin: Callable[[], None], in_flight: Callable[[], int], timeout_s: float, min_s: float = 0.0
    ) -> None:
        self._begin, self._in_flight, self._timeout_s, self._min_s = begin, in_flight, timeout_s, min_s
        self._servers: dict[int, Any] = {}
        self._draining = self._stopped = False
        self._waiting: asyncio.Task[None] | None = None

    def install(self) -> None:
        """Install the signal handlers; does nothing outside the main thread, which receives no signals."""
        if threading.current_thread() is not threading.main_thread():
            return
        self._loop = asyncio.get_running_loop()
        self._servers = {number: signal.signal(number, self._on_signal) for number in _SIGNALS}

    def uninstall(self) -> None:
        """Restore the previous signal handlers."""
        for number, handler in self._servers.items():
            signal.signal(number, handler)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if not self._draining:
            self._draining = True
            self._begin()
            # A signal may interrupt the loop at any point, so the rest is scheduled thread-safely.
            self._loop.call_soon_threadsafe(self._start_waiting, number)
        elif number == signal.SIGINT:  # forces the stop; a second SIGTERM may be a duplicate by another process
            self._stopped = True
            self._stop(number, frame)

    def _start_waiting(self, number: int) -> None:
        self._waiting = self._loop.create_task(self._wait(number))

    async def _wait(self, number: int) -> None:
        start_s = time.monotonic()
        while not self._stopped:
            elapsed_s = time.monotonic() - start_s
            if elapsed_s >= self._min_s and (elapsed_s >= self._timeout_s or not self._in_flight()):
                break
            await asyncio.sleep(_TICK_S)
        if not self._stopped:
            self._stop(number, None)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        if callable(handler := self._servers.get(number)):
            handler(number, frame)

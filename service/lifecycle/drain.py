"""Drain: on SIGTERM or Ctrl-C accepted requests finish, new ones get 503, and only then does the server stop."""

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
    """Stands before the server's own signal handlers, which would stop listening at once.

    Args:
        begin: called at the first signal.
        in_flight: how many accepted requests are under way.
        timeout_s: how long they have, seconds. A second Ctrl-C ends the wait at once.
        least_s: how long it goes on at least, seconds.
    """

    def __init__(
        self, begin: Callable[[], None], in_flight: Callable[[], int], timeout_s: float, least_s: float = 0.0
    ) -> None:
        self._begin, self._in_flight, self._timeout_s, self._least_s = begin, in_flight, timeout_s, least_s
        self._servers: dict[int, Any] = {}
        self._draining = self._stopped = False
        self._waiting: asyncio.Task[None] | None = None

    def install(self) -> None:
        """Take the signals over, on the event loop; does nothing outside the main thread, where there are none."""
        if threading.current_thread() is not threading.main_thread():
            return
        self._loop = asyncio.get_running_loop()
        self._servers = {number: signal.signal(number, self._on_signal) for number in _SIGNALS}

    def uninstall(self) -> None:
        """Give the signals back."""
        for number, handler in self._servers.items():
            signal.signal(number, handler)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if not self._draining:
            self._draining = True
            self._begin()
            # A signal may interrupt the loop anywhere, so what follows goes through the loop's thread-safe door.
            self._loop.call_soon_threadsafe(self._start_waiting, number)
        elif number == signal.SIGINT:  # impatience; a second SIGTERM is only another process's word for the same
            self._stopped = True
            self._stop(number, frame)

    def _start_waiting(self, number: int) -> None:
        self._waiting = self._loop.create_task(self._wait(number))

    async def _wait(self, number: int) -> None:
        start = time.monotonic()
        while not self._stopped:
            spent = time.monotonic() - start
            if spent >= self._least_s and (spent >= self._timeout_s or not self._in_flight()):
                break
            await asyncio.sleep(_TICK_S)
        if not self._stopped:
            self._stop(number, None)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        if callable(handler := self._servers.get(number)):
            handler(number, frame)

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
        timeout_s: how long they have, seconds. A second signal ends the wait at once.
    """

    def __init__(self, begin: Callable[[], None], in_flight: Callable[[], int], timeout_s: float) -> None:
        self._begin, self._in_flight, self._timeout_s = begin, in_flight, timeout_s
        self._servers: dict[int, Any] = {}
        self._draining = False
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
        if self._draining:
            self._stop(number, frame)
            return
        self._draining = True
        self._begin()
        # A signal may interrupt the loop anywhere, so what follows goes through the loop's thread-safe door.
        self._loop.call_soon_threadsafe(self._start_waiting, number)

    def _start_waiting(self, number: int) -> None:
        self._waiting = self._loop.create_task(self._wait(number))

    async def _wait(self, number: int) -> None:
        end = time.monotonic() + self._timeout_s
        while self._in_flight() and time.monotonic() < end:
            await asyncio.sleep(_TICK_S)
        self._stop(number, None)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        if callable(handler := self._servers.get(number)):
            handler(number, frame)

"""Sockets: uvicorn's WebSocket protocol with bounds on what a client may make it hold.

uvicorn reads one message at a time and no more until it is taken. But it answers every ping at once, and waits for ever
for a client that takes nothing.
"""

import asyncio
import functools
import logging
from collections.abc import Callable
from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

# It would log who came, by address.
_quiet = logging.getLogger("uvicorn.sockets")
_quiet.addFilter(lambda record: record.levelno >= logging.WARNING)


class Socket(WebSocketsSansIOProtocol):
    """One client's connection."""

    def __init__(self, patience_s: float, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.logger = self.conn.logger = _quiet
        self._patience_s = patience_s
        self._stalled: asyncio.TimerHandle | None = None

    def pause_writing(self) -> None:
        """Wait for a client that does not take its answers, but not for ever; meanwhile nothing is read from it."""
        super().pause_writing()
        self.transport.pause_reading()
        self._stalled = self.loop.call_later(self._patience_s, self.transport.abort)

    def resume_writing(self) -> None:
        """Go on."""
        super().resume_writing()
        self._unstall()
        if not self.read_paused and not self.transport.is_closing():
            self.transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._unstall()
        super().connection_lost(exc)

    def _unstall(self) -> None:
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None


def sockets(patience_s: float) -> Callable[..., Socket]:
    """Return what makes the WebSocket connections of one process, for :class:`uvicorn.Config`.

    Args:
        patience_s: for a client to take a piece of its answer, seconds.
    """
    return functools.partial(Socket, patience_s)

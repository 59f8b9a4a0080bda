"""Sockets: uvicorn's WebSocket protocol with bounds on what a client may make it hold or do.

uvicorn reads one message at a time and no more until it is taken. But it answers every ping at once, takes frames that
end no message without end, waits for ever for a client that takes nothing, and forgets one whose head is none.
"""

import asyncio
import functools
import logging
from collections.abc import Callable
from typing import Any, Final

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame

# It would log who came, by address, and take every refusal by an HTTP answer for a mistake.
_REFUSED: Final = "ASGI callable returned without completing handshake."
_quiet = logging.getLogger("uvicorn.sockets")
_quiet.addFilter(lambda record: record.levelno >= logging.WARNING and record.getMessage() != _REFUSED)
# Pings, pongs and pieces of a message between two whole messages; and bytes that are looked at before they are counted.
_MOST_FRAMES: Final = 1000
_PIECE: Final = 16 * 1024
_NO_HANDSHAKE: Final = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


class Socket(WebSocketsSansIOProtocol):
    """One client's connection."""

    def __init__(self, patience_s: float, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.logger = self.conn.logger = _quiet
        self._patience_s = patience_s
        self._stalled: asyncio.TimerHandle | None = None
        self._look: asyncio.TimerHandle | None = None
        self._frames_since = 0
        self._was_closing = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection, and see now and then whether it has been closing for long."""
        super().connection_made(transport)
        self._look = self.loop.call_later(self._patience_s, self._end_if_closing)

    def data_received(self, data: bytes) -> None:
        """Take what came, as long as it is within the bounds."""
        for start in range(0, len(data), _PIECE):
            if self.transport.is_closing() and not self.close_sent:
                return
            super().data_received(data[start : start + _PIECE] if len(data) > _PIECE else data)
            if not self.handshake_initiated:  # the head comes whole, and this one is none
                self.transport.write(_NO_HANDSHAKE)
                self.transport.close()
                return
            if self._frames_since > _MOST_FRAMES:
                self.transport.abort()
                return

    def handle_cont(self, event: Frame) -> None:
        """Count a piece of a message."""
        self._frames_since += 1
        super().handle_cont(event)

    def handle_ping(self) -> None:
        """Count a ping."""
        self._frames_since += 1
        super().handle_ping()

    def handle_pong(self, event: Frame) -> None:
        """Count a pong."""
        self._frames_since += 1
        super().handle_pong(event)

    def send_receive_event_to_app(self) -> None:
        """Hand a whole message on."""
        self._frames_since = 0
        super().send_receive_event_to_app()

    def pause_writing(self) -> None:
        """Wait for a client that does not take its answers, but not for ever; meanwhile nothing is read from it."""
        super().pause_writing()
        self.transport.pause_reading()
        self._stalled = self.loop.call_later(self._patience_s, self.transport.abort)

    def resume_writing(self) -> None:
        """Go on."""
        super().resume_writing()
        self._cancel("_stalled")
        if not self.read_paused and not self.transport.is_closing():
            self.transport.resume_reading()

    def shutdown(self) -> None:
        """Let the client go, because the server stops."""
        if self.handshake_initiated:
            super().shutdown()
        else:
            self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._cancel("_stalled")
        self._cancel("_look")
        super().connection_lost(exc)

    def _end_if_closing(self) -> None:
        """End a connection that waits for a client to take the rest before it closes, the second time it is seen so."""
        if self._was_closing:
            self.transport.abort()
            return
        self._was_closing = self.transport.is_closing()
        self._look = self.loop.call_later(self._patience_s, self._end_if_closing)

    def _cancel(self, name: str) -> None:
        timer: asyncio.TimerHandle | None = getattr(self, name)
        if timer is not None:
            timer.cancel()
            setattr(self, name, None)


def websocket_protocol(timeout_s: float) -> Callable[..., Socket]:
    """Return the factory of the WebSocket connections of one process, for :class:`uvicorn.Config`.

    Args:
        timeout_s: for a client to take a piece of its answer, seconds.
    """
    return functools.partial(Socket, timeout_s)

"""uvicorn's WebSocket protocol with limits on the memory and time that a client can use.

uvicorn reads one message at a time and no further until the app receives it. But it answers every ping immediately,
accepts any number of frames that do not complete a message, waits indefinitely for a client that does not read, and
leaves a connection with an invalid handshake open.
"""

import asyncio
import functools
import logging
from collections.abc import Callable
from typing import Any, Final

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame

# uvicorn would log client addresses, and report each refusal by an HTTP response as an error.
_HANDSHAKE_REFUSED: Final = "ASGI callable returned without completing handshake."
_logger = logging.getLogger("uvicorn.sockets")
_logger.addFilter(lambda record: record.levelno >= logging.WARNING and record.getMessage() != _HANDSHAKE_REFUSED)
# Pings, pongs and continuation frames between two complete messages.
_MAX_FRAMES: Final = 1000
# The frame count is checked after each chunk of this size.
_CHUNK_BYTES: Final = 16 * 1024
_INVALID_HANDSHAKE: Final = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


class Socket(WebSocketsSansIOProtocol):
    """One client connection."""

    def __init__(self, timeout_s: float, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.logger = self.conn.logger = _logger
        self._timeout_s = timeout_s
        self._stall_timer: asyncio.TimerHandle | None = None
        self._closing_timer: asyncio.TimerHandle | None = None
        self._frames_since_message = 0
        self._was_closing = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Accept the connection and start the periodic check for a stuck close."""
        super().connection_made(transport)
        self._closing_timer = self.loop.call_later(self._timeout_s, self._end_if_closing)

    def data_received(self, data: bytes) -> None:
        """Parse the data and enforce the limit on frames."""
        for start in range(0, len(data), _CHUNK_BYTES):
            if self.transport.is_closing() and not self.close_sent:
                return
            super().data_received(data[start : start + _CHUNK_BYTES] if len(data) > _CHUNK_BYTES else data)
            if not self.handshake_initiated:  # the headers arrive complete, so they are invalid
                self.transport.write(_INVALID_HANDSHAKE)
                self.transport.close()
                return
            if self._frames_since_message > _MAX_FRAMES:
                self.transport.abort()
                return

    def handle_cont(self, event: Frame) -> None:
        """Count a continuation frame."""
        self._frames_since_message += 1
        super().handle_cont(event)

    def handle_ping(self) -> None:
        """Count a ping."""
        self._frames_since_message += 1
        super().handle_ping()

    def handle_pong(self, event: Frame) -> None:
        """Count a pong."""
        self._frames_since_message += 1
        super().handle_pong(event)

    def send_receive_event_to_app(self) -> None:
        """Pass a complete message to the app and reset the frame count."""
        self._frames_since_message = 0
        super().send_receive_event_to_app()

    def pause_writing(self) -> None:
        """Stop reading and start the stall timer for a client that does not read its responses."""
        super().pause_writing()
        self.transport.pause_reading()
        self._stall_timer = self.loop.call_later(self._timeout_s, self.transport.abort)

    def resume_writing(self) -> None:
        """Stop the stall timer and resume reading."""
        super().resume_writing()
        self._cancel("_stall_timer")
        if not self.read_paused and not self.transport.is_closing():
            self.transport.resume_reading()

    def shutdown(self) -> None:
        """Close the connection because the server is stopping."""
        if self.handshake_initiated:
            super().shutdown()
        else:
            self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Cancel the timers of the connection."""
        self._cancel("_stall_timer")
        self._cancel("_closing_timer")
        super().connection_lost(exc)

    def _end_if_closing(self) -> None:
        """Abort a connection that is still closing, waiting for its client to read, at the second check in a row."""
        if self._was_closing:
            self.transport.abort()
            return
        self._was_closing = self.transport.is_closing()
        self._closing_timer = self.loop.call_later(self._timeout_s, self._end_if_closing)

    def _cancel(self, name: str) -> None:
        timer: asyncio.TimerHandle | None = getattr(self, name)
        if timer is not None:
            timer.cancel()
            setattr(self, name, None)


def websocket_protocol(timeout_s: float) -> Callable[..., Socket]:
    """Return the WebSocket connection factory of one process, for :class:`uvicorn.Config`.

    Args:
        timeout_s: timeout for a client to read part of a response, seconds.
    """
    return functools.partial(Socket, timeout_s)

"""Connections: uvicorn's HTTP protocol with bounds on what a client may hold, and for how long.

uvicorn waits for a request's head for ever, keeps headers, trailers and pipelined requests without end, and goes on
reading a body that it has already refused as long as the client trickles it.
"""

import asyncio
import functools
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from service import logs
from service.errors import problem

# Bytes beside the body: request line, headers, chunk sizes and their extensions, trailers.
_MOST_FRAMING: Final = 64 * 1024
# A chunk of one byte takes six.
_FRAMING_A_BYTE: Final = 8
_MOST_PIPELINED: Final = 100
# For what a client is still sending when it is refused: closed at once, it would lose its answer.
_LINGER_S: Final = 5.0


@dataclass(slots=True)
class Bounds:
    """What the connections of one process share.

    Attributes:
        most: connections at once.
        patience_s: for a request's head to arrive, and for a client to take a piece of its answer, seconds.
        idle: connections that no request is under way on, longest first; the first goes where there is no room.
    """

    most: int
    patience_s: float
    idle: "dict[Connection, None]" = field(default_factory=dict)


class Connection(HttpToolsProtocol):
    """One client's connection."""

    def __init__(self, bounds: Bounds, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._bounds = bounds
        self._in_message = False
        self._head_timer: asyncio.TimerHandle | None = None
        self._stall_timer: asyncio.TimerHandle | None = None
        self._linger_timer: asyncio.TimerHandle | None = None
        self._framing = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take the connection, in place of the one that has been idle for longest where there are too many."""
        super().connection_made(transport)
        self._wait_for_head()
        if len(self.connections) > self._bounds.most:
            longest = next(iter(self._bounds.idle))
            if longest is self:
                self._refuse("overloaded", f"{self._bounds.most} connections are the limit", {"Retry-After": "1"})
            else:
                longest.transport.abort()
                self.connections.discard(longest)
                self._bounds.idle.pop(longest)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        super().connection_lost(exc)
        self._stop_waiting()
        self._stop_lingering()
        self._cancel_stall()

    def data_received(self, data: bytes) -> None:
        """Parse what came, as long as it is within the bounds."""
        if not self._in_message and self._head_timer is None:
            self._wait_for_head()  # of a further request on this connection
        self._framing += len(data)
        super().data_received(data)
        if self._framing > _MOST_FRAMING and not self.transport.is_closing():
            if self._in_message:
                self.transport.abort()  # in a body's framing; its answer may already be on the way
            else:
                detail = f"{self._framing} bytes without an end of the headers are over the limit of {_MOST_FRAMING}"
                self._refuse("headers_too_large", detail)

    def on_headers_complete(self) -> None:
        """Begin the request."""
        self._stop_waiting()
        self._in_message, self._framing = True, 0
        if len(self.pipeline) >= _MOST_PIPELINED:
            self.transport.abort()
            return
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Take a piece of the body."""
        self._framing = max(0, self._framing - len(body) * (1 + _FRAMING_A_BYTE))
        super().on_body(body)

    def on_message_complete(self) -> None:
        """End the request; what follows is another one's head."""
        self._in_message, self._framing = False, 0
        self._stop_lingering()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Go on with the next request, and do not wait long for the rest of one that is already answered."""
        super().on_response_complete()
        if self.pipeline:
            self.flow.pause_reading()  # one at a time; else what is read meanwhile piles up
        if self.transport.is_closing():
            self._limit_stall()
        elif self._in_message and self.cycle.response_complete:
            self._linger_timer = self.loop.call_later(_LINGER_S, self.transport.close)
        elif not self.pipeline:
            self._bounds.idle[self] = None

    def pause_writing(self) -> None:
        """Wait for a client that does not take its answer, but not for ever."""
        super().pause_writing()
        self._limit_stall()

    def resume_writing(self) -> None:
        """Write on."""
        super().resume_writing()
        if not self.transport.is_closing():
            self._cancel_stall()

    def timeout_keep_alive_handler(self) -> None:
        """Close an idle connection, even where the client has not taken the last answer."""
        super().timeout_keep_alive_handler()
        self._limit_stall()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is not HTTP."""
        self._refuse("bad_request", msg)

    def _wait_for_head(self) -> None:
        self._bounds.idle.setdefault(self, None)
        self._head_timer = self.loop.call_later(self._bounds.patience_s, self._on_no_head)

    def _stop_waiting(self) -> None:
        self._bounds.idle.pop(self, None)
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _on_no_head(self) -> None:
        if self.transport.is_closing():
            return
        if self._framing:
            detail = f"the headers did not end within the limit of {self._bounds.patience_s:g} s"
            self._refuse("header_timeout", detail)
        else:
            self.transport.close()

    def _stop_lingering(self) -> None:
        if self._linger_timer is not None:
            self._linger_timer.cancel()
            self._linger_timer = None

    def _limit_stall(self) -> None:
        if self._stall_timer is None:
            self._stall_timer = self.loop.call_later(self._bounds.patience_s, self.transport.abort)

    def _cancel_stall(self) -> None:
        if self._stall_timer is not None:
            self._stall_timer.cancel()
            self._stall_timer = None

    def _refuse(self, code: str, detail: str, headers: dict[str, str] | None = None) -> None:
        """Answer by problem details where no request is under way, and close."""
        if self.cycle is None or self.cycle.response_complete:
            request_id = uuid.uuid4().hex
            close = {"Connection": "close", "X-Request-ID": request_id}
            response = problem(code, detail, request_id, close | (headers or {}))
            head = [b": ".join(pair) for pair in response.raw_headers]
            self.transport.write(b"\r\n".join([STATUS_LINE[response.status_code].rstrip(), *head, b"", b""]))
            self.transport.write(bytes(response.body))
            logs.access.info("refused", extra={"request_id": request_id, "status": response.status_code, "code": code})
            if metrics := self.app_state.get("metrics"):
                metrics.refusals.labels(code).inc()
        self.transport.close()
        self._limit_stall()


def connections(most: int, patience_s: float) -> Callable[..., Connection]:
    """Return what makes the connections of one process, for :class:`uvicorn.Config`.

    Args:
        most: connections at once.
        patience_s: seconds, see :class:`Bounds`.
    """
    return functools.partial(Connection, Bounds(most, patience_s))

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

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from service.errors import problem
from service.observability import logs

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
        receiving: connections whose body is arriving, longest first; the next to go.
    """

    most: int
    patience_s: float
    idle: "dict[Connection, None]" = field(default_factory=dict)
    receiving: "dict[Connection, None]" = field(default_factory=dict)


class Connection(HttpToolsProtocol):
    """One client's connection.

    It waits for a head (and is idle), receives or answers a request (and is busy), or takes in the rest of a request
    that is answered already (and lingers). Each of the three but the second has a timer; :meth:`_settle` sets it.
    """

    def __init__(self, bounds: Bounds, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._bounds = bounds
        self._in_message = False
        self._running: RequestResponseCycle | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._stall_timer: asyncio.TimerHandle | None = None
        self._framing = 0

    @property
    def _busy(self) -> bool:
        return self._running is not None and not self._running.response_complete

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take the connection, in place of another where there are too many."""
        super().connection_made(transport)
        self._settle()
        if len(self.connections) > self._bounds.most:
            others = (other for other in (*self._bounds.idle, *self._bounds.receiving) if other is not self)
            if other := next(others, None):
                self.connections.discard(other)
                other.cut()
            else:
                self._refuse("overloaded", f"{self._bounds.most} connections are the limit", {"Retry-After": "1"})

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._abandon()
        super().connection_lost(exc)
        self._forget()
        self._cancel_stall()

    def data_received(self, data: bytes) -> None:
        """Parse what came, as long as it is within the bounds."""
        if not self._framing and not self._in_message and not self._busy:
            self._set_timer(self._bounds.patience_s, self._on_no_head)  # from the first byte of a head
        self._framing += len(data)
        super().data_received(data)
        if self._framing > _MOST_FRAMING and not self.transport.is_closing():
            if self._in_message or self._busy:
                self.cut()  # in a body's framing; its answer may already be on the way
            else:
                self._refuse_head(self._framing)

    def on_headers_complete(self) -> None:
        """Begin the request."""
        size = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
        self._in_message, self._framing = True, 0
        if len(self.pipeline) >= _MOST_PIPELINED:
            self.cut()
        elif size > _MOST_FRAMING and not self._busy:
            self._refuse_head(size)
        elif not self.transport.is_closing():
            super().on_headers_complete()
            self._bounds.receiving[self] = None
            self._settle()

    def on_body(self, body: bytes) -> None:
        """Take a piece of the body."""
        if self.transport.is_closing():
            return
        self._framing = max(0, self._framing - len(body) * (1 + _FRAMING_A_BYTE))
        super().on_body(body)
        if self.cycle is not self._running and len(self.cycle.body) > _MOST_FRAMING:
            self.cut()  # a body that nobody takes, because an earlier request is still being answered

    def on_message_complete(self) -> None:
        """End the request; what follows is another one's head."""
        self._in_message, self._framing = False, 0
        self._bounds.receiving.pop(self, None)
        if not self.transport.is_closing():
            super().on_message_complete()
            self._settle()

    def on_response_complete(self) -> None:
        """Go on with the next request."""
        super().on_response_complete()
        if self.pipeline:
            self.flow.pause_reading()  # one at a time; else what is read meanwhile piles up
        if self.transport.is_closing():
            self._limit_stall()
        else:
            self._settle()

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

    def handle_websocket_upgrade(self) -> None:
        """Hand the connection on; it is no longer this protocol's."""
        if self._busy or self.pipeline:  # its end would be told to the other protocol, and the answer never end
            self.cut()
            return
        body = {b"content-length", b"transfer-encoding"} & {name for name, _ in self.headers}
        if body:
            self._refuse("bad_request", f"a WebSocket begins without a body, and there is {body.pop().decode()}")
            return
        self._forget()
        self._cancel_stall()
        super().handle_websocket_upgrade()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is not HTTP."""
        self._refuse("bad_request", msg)

    def cut(self) -> None:
        """End the connection at once; whoever still answers on it is told that the client has gone."""
        self._abandon()
        self._forget()
        self.transport.abort()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    def _settle(self) -> None:
        """Set the timer of the state that the connection is in."""
        if self._busy:
            self._set_timer(None)
            self._bounds.idle.pop(self, None)
        elif self._in_message:
            self._bounds.receiving.pop(self, None)
            self._set_timer(_LINGER_S, self.cut)
        else:
            self._bounds.idle.setdefault(self, None)
            if self._framing:
                self._unset_keepalive_if_required()  # it waits for a head, not for the first byte of one
            self._set_timer(self._bounds.patience_s, self._on_no_head)

    def _set_timer(self, seconds: float | None, then: Callable[[], None] | None = None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self.loop.call_later(seconds, then) if seconds is not None and then else None

    def _forget(self) -> None:
        self._set_timer(None)
        self._bounds.idle.pop(self, None)
        self._bounds.receiving.pop(self, None)

    def _abandon(self) -> None:
        """Tell every request of this connection that nobody waits any more; uvicorn tells the newest alone."""
        for cycle in (self._running, self.cycle, *(waiting for waiting, _ in self.pipeline)):
            if cycle is not None:
                cycle.disconnected = True
                cycle.message_event.set()
        self.pipeline.clear()

    def _on_no_head(self) -> None:
        if self.transport.is_closing():
            return
        if self._framing:
            detail = f"the headers did not end within the limit of {self._bounds.patience_s:g} s"
            self._refuse("header_timeout", detail)
        else:
            self.transport.close()
            self._limit_stall()

    def _limit_stall(self) -> None:
        if self._stall_timer is None:
            self._stall_timer = self.loop.call_later(self._bounds.patience_s, self.cut)

    def _cancel_stall(self) -> None:
        if self._stall_timer is not None:
            self._stall_timer.cancel()
            self._stall_timer = None

    def _refuse_head(self, size: int) -> None:
        self._refuse("headers_too_large", f"{size} bytes of headers are over the limit of {_MOST_FRAMING}")

    def _refuse(self, code: str, detail: str, headers: dict[str, str] | None = None) -> None:
        """Answer by problem details where no other answer has begun, and close."""
        if not self._busy or (self._running is self.cycle and not self.cycle.response_started):
            request_id = uuid.uuid4().hex
            close = {"Connection": "close", "X-Request-ID": request_id}
            response = problem(code, detail, request_id, close | (headers or {}))
            head = [b": ".join(pair) for pair in response.raw_headers]
            self.transport.write(b"\r\n".join([STATUS_LINE[response.status_code].rstrip(), *head, b"", b""]))
            self.transport.write(bytes(response.body))
            logs.access.info("refused", extra={"request_id": request_id, "status": response.status_code, "code": code})
            if metrics := self.app_state.get("metrics"):
                metrics.refusals.labels(code).inc()
        self._abandon()
        self._forget()
        self.transport.close()
        self._limit_stall()


def http_protocol(max_connections: int, timeout_s: float) -> Callable[..., Connection]:
    """Return the factory of the connections of one process, for :class:`uvicorn.Config`.

    Args:
        max_connections: connections at once.
        timeout_s: see :class:`Bounds`, seconds.
    """
    return functools.partial(Connection, Bounds(max_connections, timeout_s))

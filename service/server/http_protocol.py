"""uvicorn's HTTP protocol with limits on the memory and time that a client can use.

uvicorn waits indefinitely for request headers, buffers headers, trailers and pipelined requests without limit, and
keeps reading the body of a refused request for as long as the client sends it.
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

# Framing is everything except the body: request line, headers, chunk sizes and extensions, trailers.
_MAX_FRAMING_BYTES: Final = 64 * 1024
# A one-byte chunk needs six bytes.
_FRAMING_PER_BODY_BYTE: Final = 8
_MAX_PIPELINED: Final = 100
# Time for a refused client to finish sending: an immediate close would lose the response.
_LINGER_S: Final = 5.0


@dataclass(slots=True)
class Bounds:
    """Limits and state that the connections of one process share.

    Attributes:
        max_connections: maximum number of open connections.
        timeout_s: timeout for request headers to arrive and for a client to read part of a response, seconds.
        idle: connections without a request in progress, longest idle first; closed first at the connection limit.
        receiving: connections that are receiving a body, oldest first; closed if none is idle.
    """

    max_connections: int
    timeout_s: float
    idle: "dict[Connection, None]" = field(default_factory=dict)
    receiving: "dict[Connection, None]" = field(default_factory=dict)


class Connection(HttpToolsProtocol):
    """One client connection.

    It is idle while it waits for request headers, busy while it receives or answers a request, and lingering while it
    reads the rest of a request that is already answered. Idle and lingering have a timer; :meth:`_update_timer` sets
    it.
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
        """Accept the connection; at the connection limit, close an idle or receiving one in its place."""
        super().connection_made(transport)
        self._update_timer()
        if len(self.connections) > self._bounds.max_connections:
            candidates = (
                connection for connection in (*self._bounds.idle, *self._bounds.receiving) if connection is not self
            )
            if evicted := next(candidates, None):
                self.connections.discard(evicted)
                evicted.cut()
            else:
                self._refuse(
                    "overloaded",
                    f"the limit of {self._bounds.max_connections} connections is reached; retry later",
                    {"Retry-After": "1"},
                )

    def connection_lost(self, exc: Exception | None) -> None:
        """Cancel the requests and timers of the connection."""
        self._disconnect_cycles()
        super().connection_lost(exc)
        self._release()
        self._cancel_stall()

    def data_received(self, data: bytes) -> None:
        """Parse the data and enforce the limit on framing."""
        if not self._framing and not self._in_message and not self._busy:
            self._set_timer(self._bounds.timeout_s, self._on_header_timeout)  # starts at the first header byte
        self._framing += len(data)
        super().data_received(data)
        if self._framing > _MAX_FRAMING_BYTES and not self.transport.is_closing():
            if self._in_message or self._busy:
                self.cut()  # framing of a body; its response may already have started
            else:
                self._refuse_headers(self._framing)

    def on_headers_complete(self) -> None:
        """Start the request."""
        size = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
        self._in_message, self._framing = True, 0
        if len(self.pipeline) >= _MAX_PIPELINED:
            self.cut()
        elif size > _MAX_FRAMING_BYTES and not self._busy:
            self._refuse_headers(size)
        elif not self.transport.is_closing():
            super().on_headers_complete()
            self._bounds.receiving[self] = None
            self._update_timer()

    def on_body(self, body: bytes) -> None:
        """Receive part of the body."""
        if self.transport.is_closing():
            return
        self._framing = max(0, self._framing - len(body) * (1 + _FRAMING_PER_BODY_BYTE))
        super().on_body(body)
        if self.cycle is not self._running and len(self.cycle.body) > _MAX_FRAMING_BYTES:
            self.cut()  # nothing reads this body while an earlier request is being answered

    def on_message_complete(self) -> None:
        """Finish receiving the request; the next bytes are another request's headers."""
        self._in_message, self._framing = False, 0
        self._bounds.receiving.pop(self, None)
        if not self.transport.is_closing():
            super().on_message_complete()
            self._update_timer()

    def on_response_complete(self) -> None:
        """Continue with the next request."""
        super().on_response_complete()
        if self.pipeline:
            self.flow.pause_reading()  # one request at a time, so that read data does not accumulate
        if self.transport.is_closing():
            self._limit_stall()
        else:
            self._update_timer()

    def pause_writing(self) -> None:
        """Start the stall timer for a client that does not read its response."""
        super().pause_writing()
        self._limit_stall()

    def resume_writing(self) -> None:
        """Stop the stall timer."""
        super().resume_writing()
        if not self.transport.is_closing():
            self._cancel_stall()

    def timeout_keep_alive_handler(self) -> None:
        """Close an idle connection, even if the client has not read the last response."""
        super().timeout_keep_alive_handler()
        self._limit_stall()

    def handle_websocket_upgrade(self) -> None:
        """Hand the connection over to the WebSocket protocol."""
        if self._busy or self.pipeline:  # only the new protocol would see the disconnect; the response would never end
            self.cut()
            return
        body_headers = {b"content-length", b"transfer-encoding"} & {name for name, _ in self.headers}
        if body_headers:
            self._refuse(
                "bad_request", f"a WebSocket handshake must not have a body, but has {body_headers.pop().decode()}"
            )
            return
        self._release()
        self._cancel_stall()
        super().handle_websocket_upgrade()

    def send_400_response(self, msg: str) -> None:
        """Refuse data that is not HTTP."""
        self._refuse("bad_request", msg)

    def cut(self) -> None:
        """Abort the connection; requests in progress see a disconnected client."""
        self._disconnect_cycles()
        self._release()
        self.transport.abort()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    def _update_timer(self) -> None:
        """Set the timer, and the entry in the shared dicts, for the current state of the connection."""
        if self._busy:
            self._set_timer(None)
            self._bounds.idle.pop(self, None)
        elif self._in_message:
            self._bounds.receiving.pop(self, None)
            self._set_timer(_LINGER_S, self.cut)
        else:
            self._bounds.idle.setdefault(self, None)
            if self._framing:
                self._unset_keepalive_if_required()  # part of the headers has arrived, so keep-alive does not apply
            self._set_timer(self._bounds.timeout_s, self._on_header_timeout)

    def _set_timer(self, seconds: float | None, callback: Callable[[], None] | None = None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self.loop.call_later(seconds, callback) if seconds is not None and callback else None

    def _release(self) -> None:
        self._set_timer(None)
        self._bounds.idle.pop(self, None)
        self._bounds.receiving.pop(self, None)

    def _disconnect_cycles(self) -> None:
        """Mark every request of this connection as disconnected; uvicorn marks only the newest."""
        for cycle in (self._running, self.cycle, *(queued for queued, _ in self.pipeline)):
            if cycle is not None:
                cycle.disconnected = True
                cycle.message_event.set()
        self.pipeline.clear()

    def _on_header_timeout(self) -> None:
        if self.transport.is_closing():
            return
        if self._framing:
            detail = f"the headers were not complete within the limit of {self._bounds.timeout_s:g} s"
            self._refuse("header_timeout", detail)
        else:
            self.transport.close()
            self._limit_stall()

    def _limit_stall(self) -> None:
        if self._stall_timer is None:
            self._stall_timer = self.loop.call_later(self._bounds.timeout_s, self.cut)

    def _cancel_stall(self) -> None:
        if self._stall_timer is not None:
            self._stall_timer.cancel()
            self._stall_timer = None

    def _refuse_headers(self, size: int) -> None:
        self._refuse("headers_too_large", f"the headers have {size} bytes, over the limit of {_MAX_FRAMING_BYTES}")

    def _refuse(self, code: str, detail: str, headers: dict[str, str] | None = None) -> None:
        """Send problem details unless another response has started, then close the connection."""
        if not self._busy or (self._running is self.cycle and not self.cycle.response_started):
            request_id = uuid.uuid4().hex
            common_headers = {"Connection": "close", "X-Request-ID": request_id}
            response = problem(code, detail, request_id, common_headers | (headers or {}))
            header_lines = [b": ".join(pair) for pair in response.raw_headers]
            self.transport.write(b"\r\n".join([STATUS_LINE[response.status_code].rstrip(), *header_lines, b"", b""]))
            self.transport.write(bytes(response.body))
            logs.access.info("refused", extra={"request_id": request_id, "status": response.status_code, "code": code})
            if metrics := self.app_state.get("metrics"):
                metrics.refusals.labels(code).inc()
        self._disconnect_cycles()
        self._release()
        self.transport.close()
        self._limit_stall()


def http_protocol(max_connections: int, timeout_s: float) -> Callable[..., Connection]:
    """Return the connection factory of one process, for :class:`uvicorn.Config`.

    Args:
        max_connections: maximum number of open connections.
        timeout_s: timeout for headers and for reading a response, seconds; see :class:`Bounds`.
    """
    return functools.partial(Connection, Bounds(max_connections, timeout_s))

"""Middleware that assigns request ids and writes one log line per request."""

import asyncio
import logging
import re
import time
import uuid
from collections.abc import Callable
from http import HTTPStatus
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.errors import refuse
from service.observability import logs
from service.observability.metrics import Metrics

_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
_MAX_PATH_CHARACTERS: Final = 200
_log = logging.getLogger(__name__)


class RequestLog:
    """Middleware that gives each request an id, counts and logs it, and turns an unexpected exception into a 500.

    A client may send its own id in ``X-Request-ID`` (1 to 64 letters, digits, ``.``, ``_``, ``-``).

    Args:
        app: the wrapped ASGI application.
        metrics: counters of requests and refusals.
        is_draining: whether the service is shutting down; if so, connections close after their response.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics, is_draining: Callable[[], bool]) -> None:
        self._app, self._metrics, self._is_draining = app, metrics, is_draining

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one ASGI connection."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        start = time.perf_counter()
        scope["request_id"] = request_id = _request_id(scope)
        status = 0

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "websocket.accept":
                status = HTTPStatus.SWITCHING_PROTOCOLS
            elif message["type"] == "websocket.close":
                status = status or HTTPStatus.FORBIDDEN  # no such path: uvicorn answers 403
            elif message["type"] in ("http.response.start", "websocket.http.response.start"):
                status = message["status"]
                message["headers"] = [*message["headers"], (b"x-request-id", request_id.encode())]
                # Not for a refusal sent before the body is read: closing with unread bytes would lose the response.
                if self._is_draining() and status < 400 and scope["type"] == "http":
                    message["headers"].append((b"connection", b"close"))
            await send(message)

        try:
            await self._app(scope, receive, send_with_id)
        except asyncio.CancelledError:
            if not status and scope["type"] == "http":
                response = refuse(scope, "not_ready", "the service stopped before this request completed")
                await response(scope, receive, send_with_id)
        except Exception:
            _log.exception("unexpected error", extra={"request_id": request_id})
            if not status:
                response = refuse(scope, "internal_error", "unexpected error in the service; see its log")
                await response(scope, receive, send_with_id)
        finally:
            self._record(scope, status, time.perf_counter() - start)

    def _record(self, scope: Scope, status: int, duration_s: float) -> None:
        route = getattr(scope.get("route"), "path", "other")
        code = scope.get("error_code")
        self._metrics.requests.labels(route, str(status)).inc()
        if code:
            self._metrics.refusals.labels(code).inc()
        logs.access.info(
            "request",
            extra={
                "request_id": scope["request_id"],
                "method": scope.get("method", "WS"),
                "path": scope["path"][:_MAX_PATH_CHARACTERS],
                "status": status,
                "code": code,
                "client": scope.get("client_name"),
                "duration_ms": round(duration_s * 1000, 2),
            },
        )


def _request_id(scope: Scope) -> str:
    header = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"x-request-id"), "")
    return header if _REQUEST_ID.fullmatch(header) else uuid.uuid4().hex

"""The FastAPI application: routes, errors as problem details, one log line a request."""

import asyncio
import logging
import re
import time
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from fastapi_offline import FastAPIOffline
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service import __version__
from service.api.auth import Guard
from service.api.document import complete
from service.api.routes import router
from service.contract.faces.finder import face_finder
from service.contract.faces.framing import check_mode
from service.contract.image.image_errors import ImageError
from service.errors import RequestError, code_for_status, refuse
from service.inference import model_file
from service.inference.engine import Engine, InferenceError
from service.lifecycle.drain import Drain
from service.lifecycle.keys import Keys
from service.lifecycle.reload import Reload
from service.lifecycle.state import State
from service.observability import logs
from service.observability.metrics import Metrics
from service.observability.telemetry import telemetry_config
from service.resources import release_free_memory, resident_bytes
from service.settings import Settings

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_TIDY_S, _MUCH = 10.0, 32 * 1024 * 1024
_LONGEST_PATH = 200  # of what a log line keeps
_log = logging.getLogger(__name__)


def create_app(settings: Settings, engine: Engine, reread: Callable[[], bytes] | None = None) -> FastAPI:
    """Build the application around a loaded engine; it is ready from its start-up to its shutdown.

    Args:
        settings: all of them.
        engine: with the model.
        reread: returns the bytes of a new model file, on SIGHUP; default: of the settings' path, which is polled too.

    Raises:
        SpecError: the model cannot be served with these faces settings.
        FinderError: faces are to be found, and the finder does not load.
        TelemetryError: it is asked for, and cannot be.
        KeysError: there is no file of API keys where the settings say, or a broken one.
        OSError: there is no disk space for the series of several workers.
    """
    check_mode(engine.spec, settings.faces)
    telemetry = telemetry_config(settings.telemetry)
    if settings.faces != "off":
        face_finder()
    state = State(settings, Metrics(), Keys.load(settings.api_keys) if settings.api_keys else None)
    state.metrics.reserve()
    # /docs from files of this machine: no third party learns who reads them, and they work offline.
    app = FastAPIOffline(
        title="Face authenticity",
        summary="Tells real from AI-generated faces: real, fake or uncertain, with a calibrated probability.",
        version=__version__,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=lambda _: _lifespan(state, engine, reread),
        telemetry=telemetry,
        routes=router.routes,  # first, and without the layers that an included router adds to each request
    )
    app.state.service = state
    _add_error_handlers(app)
    if state.keys:
        app.add_middleware(Guard, state=state)
    complete(app, keys=state.keys is not None)
    app.add_middleware(RequestLog, state=state)
    return app


@asynccontextmanager
async def _lifespan(
    state: State, engine: Engine, reread: Callable[[], bytes] | None
) -> AsyncIterator[dict[str, Metrics]]:
    """Answer predictions from start-up to shutdown, and drain in between the two."""
    settings, spec = state.settings, engine.spec
    state.serve(engine)
    _log.info("ready", extra={"model": spec.name, "version": spec.version, "provider": engine.provider})
    drain = Drain(state.drain, lambda: state.admission.in_flight, settings.shutdown_timeout_s, settings.drain_s)
    drain.install()
    reload = Reload(state, reread or (lambda: model_file.read(settings.model)), alone=reread is None)
    reload.install()
    tidy = asyncio.create_task(_give_memory_back())
    yield {"metrics": state.metrics}  # for what the server refuses before there is a request
    tidy.cancel()
    reload.uninstall()
    drain.uninstall()
    state.stop()


async def _give_memory_back() -> None:
    """Now and then, where much has been added: what grew piece by piece leaves gaps that the allocator keeps."""
    held = resident_bytes()
    while True:
        await asyncio.sleep(_TIDY_S)
        if resident_bytes() - held > _MUCH:
            await asyncio.to_thread(release_free_memory)
            held = resident_bytes()


def _add_error_handlers(app: FastAPI) -> None:
    """Turn every way to fail into problem details."""

    @app.exception_handler(RequestError)
    async def on_request_error(request: Request, error: RequestError) -> JSONResponse:
        return refuse(request.scope, error.code, error.detail, error.headers)

    @app.exception_handler(ImageError)
    async def on_image_error(request: Request, error: ImageError) -> JSONResponse:
        return refuse(request.scope, error.code, str(error))

    @app.exception_handler(InferenceError)
    async def on_inference_error(request: Request, error: InferenceError) -> JSONResponse:
        _log.error("inference failed", extra={"request_id": request.scope["request_id"], "error": str(error)})
        return refuse(request.scope, "inference_failed", "the model gave no usable answer; the picture is not at fault")

    @app.exception_handler(HTTPException)
    async def on_http_exception(request: Request, error: HTTPException) -> JSONResponse:
        headers = dict(error.headers) if error.headers else None
        return refuse(request.scope, code_for_status(error.status_code), str(error.detail), headers)


class RequestLog:
    """Gives every request an id, counts it, and writes one log line; turns a defect into a clean 500.

    A client may name its own id in ``X-Request-ID`` (1 to 64 letters, digits, ``.``, ``_``, ``-``).
    """

    def __init__(self, app: ASGIApp, state: State) -> None:
        self._app = app
        self._state = state
        self._metrics = state.metrics

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
                status = status or HTTPStatus.FORBIDDEN  # no such path: what the server answers then
            elif message["type"] in ("http.response.start", "websocket.http.response.start"):
                status = message["status"]
                message["headers"] = [*message["headers"], (b"x-request-id", request_id.encode())]
                # A refusal may come before its body, and a connection that is closed on unread bytes loses the answer.
                if self._state.draining and status < 400 and scope["type"] == "http":
                    message["headers"].append((b"connection", b"close"))
            await send(message)

        try:
            await self._app(scope, receive, send_with_id)
        except asyncio.CancelledError:
            if not status and scope["type"] == "http":
                response = refuse(scope, "not_ready", "the service stopped before this request was done")
                await response(scope, receive, send_with_id)
        except Exception:
            _log.exception("defect", extra={"request_id": request_id})
            if not status:
                response = refuse(scope, "internal_error", "a defect of the service; see its log")
                await response(scope, receive, send_with_id)
        finally:
            self._record(scope, status, time.perf_counter() - start)

    def _record(self, scope: Scope, status: int, seconds: float) -> None:
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
                "path": scope["path"][:_LONGEST_PATH],
                "status": status,
                "code": code,
                "client": scope.get("client_name"),
                "duration_ms": round(seconds * 1000, 2),
            },
        )


def _request_id(scope: Scope) -> str:
    given = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"x-request-id"), "")
    return given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex

"""The FastAPI application: model, routes, errors as problem details, start-up and shutdown."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from fastapi_offline import FastAPIOffline
from starlette.exceptions import HTTPException

from service import __version__
from service.api.auth import Guard
from service.api.document import set_openapi
from service.api.responses import refusal
from service.api.routes import router
from service.contract.faces.finder import face_finder
from service.contract.faces.yunet import FinderError
from service.contract.image.image_errors import ImageError
from service.errors import RequestError, StartError, code_for_status, refuse
from service.inference import model_file
from service.inference.engine import Engine, InferenceError, load_engine
from service.inference.model_file import ModelFileError
from service.inference.session import ProviderError
from service.lifecycle.drain import Drain
from service.lifecycle.keys import Keys, KeysError
from service.lifecycle.reload import Reload
from service.lifecycle.state import State
from service.model_settings import ProvenanceError
from service.observability.metrics import Metrics
from service.observability.request_log import RequestLog
from service.observability.telemetry import TelemetryError, telemetry_config
from service.resources import release_free_memory, resident_bytes
from service.settings import Settings

_MEMORY_CHECK_S, _MEMORY_GROWTH_BYTES = 10.0, 32 * 1024 * 1024
_log = logging.getLogger(__name__)


def load_app(settings: Settings, content: bytes | None = None, reread: Callable[[], bytes] | None = None) -> FastAPI:
    """Load the model that the settings name, and build the application around it.

    Args:
        settings: all of them.
        content: the bytes of the model file, where it has been read already.
        reread: as for :func:`create_app`.

    Raises:
        StartError: the service cannot start; the message says why in one line.
    """
    try:
        return create_app(settings, load_engine(settings, content), reread)
    except (ModelFileError, ProviderError, FinderError) as error:
        raise StartError(str(error)) from None
    except KeysError as error:
        raise StartError(f"setting --api-keys (SERVICE_API_KEYS): {error}") from None
    except ProvenanceError as error:
        raise StartError(f"setting --trust-anchors (SERVICE_TRUST_ANCHORS): {error}") from None
    except TelemetryError as error:
        raise StartError(f"setting --telemetry (SERVICE_TELEMETRY): {error}") from None
    except OSError as error:
        raise StartError(
            f"setting --metrics-dir (SERVICE_METRICS_DIR): no space for the metrics: {error.strerror}"
        ) from None


def create_app(settings: Settings, engine: Engine, reread: Callable[[], bytes] | None = None) -> FastAPI:
    """Build the application around a loaded engine; it is ready from its start-up to its shutdown.

    Args:
        settings: all of them.
        engine: the loaded model.
        reread: returns the bytes of a new model file, on SIGHUP; default: reads the path in the settings, which is
            polled as well.

    Raises:
        ModelFileError: the model cannot be served with the setting ``faces``.
        FinderError: faces are looked for, and the face finder does not load.
        TelemetryError: telemetry is on and cannot be set up.
        KeysError: the file of API keys is missing or malformed.
        ProvenanceError: the trust anchors cannot be used.
        OSError: there is no disk space for the metrics of several workers.
    """
    engine.check_faces(settings.faces)
    telemetry = telemetry_config(settings.telemetry)
    if settings.faces != "off":
        face_finder()
    state = State(settings, Metrics(), Keys.load(settings.api_keys) if settings.api_keys else None)
    state.metrics.reserve()
    # /docs comes from files of this machine: no third party learns who reads it, and it works offline.
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
    set_openapi(app, keys=state.keys is not None)
    app.add_middleware(RequestLog, metrics=state.metrics, is_draining=lambda: state.draining)
    return app


@asynccontextmanager
async def _lifespan(
    state: State, engine: Engine, reread: Callable[[], bytes] | None
) -> AsyncIterator[dict[str, Metrics]]:
    """Serve from start-up on, watch for reloads, and drain at shutdown."""
    settings, spec = state.settings, engine.spec
    state.serve(engine)
    _log.info("ready", extra={"model": spec.name, "version": spec.version, "provider": engine.provider})
    drain = Drain(state.drain, lambda: state.admission.in_flight, settings.shutdown_timeout_s, settings.drain_s)
    drain.install()
    reload = Reload(state, reread or (lambda: model_file.read(settings.model)), alone=reread is None)
    reload.install()
    memory = asyncio.create_task(_release_memory())
    yield {"metrics": state.metrics}  # for what the server refuses before there is a request
    memory.cancel()
    reload.uninstall()
    drain.uninstall()
    state.stop()


async def _release_memory() -> None:
    """Return freed memory to the system where much has been added: the allocator keeps the gaps that bodies leave."""
    before = resident_bytes()
    while True:
        await asyncio.sleep(_MEMORY_CHECK_S)
        if resident_bytes() - before > _MEMORY_GROWTH_BYTES:
            await asyncio.to_thread(release_free_memory)
            before = resident_bytes()


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
        return refuse(request.scope, *refusal(error, request_id=request.scope["request_id"]))

    @app.exception_handler(HTTPException)
    async def on_http_exception(request: Request, error: HTTPException) -> JSONResponse:
        headers = dict(error.headers) if error.headers else None
        return refuse(request.scope, code_for_status(error.status_code), str(error.detail), headers)

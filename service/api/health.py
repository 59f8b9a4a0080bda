"""``GET /healthz``, ``/readyz`` and ``/metrics``: endpoints for probes and metrics scrapers."""

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST

from service.api.openapi import problems
from service.api.schemas import Health
from service.lifecycle.state import state_of

router = APIRouter()


@router.get("/healthz", operation_id="healthz", response_model=Health, summary="Liveness probe")
async def healthz() -> Health:
    """Answer 200 as long as the event loop runs, regardless of the model."""
    return Health(status="alive")


@router.get(
    "/readyz",
    operation_id="readyz",
    response_model=Health,
    responses=problems(503),
    summary="Readiness probe",
)
async def readyz(request: Request) -> Health:
    """Answer 200 only while a model is loaded, warmed up and able to answer."""
    await state_of(request).check_ready()
    return Health(status="ready")


@router.get("/metrics", operation_id="metrics", summary="Prometheus metrics", response_class=Response)
async def metrics(request: Request) -> Response:
    """Return all metrics in the Prometheus text format; they cover all workers if there are several."""
    state = state_of(request)
    if state.scorer is not None:
        state.metrics.queue.set(state.scorer.slots.waiting)
    return Response(state.metrics.render(), media_type=CONTENT_TYPE_LATEST)

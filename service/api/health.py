"""``GET /healthz``, ``/readyz`` and ``/metrics``: what probes and scrapers ask for."""

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST

from service.api.openapi import problems
from service.api.schemas import Health
from service.lifecycle.state import state_of

router = APIRouter()


@router.get("/healthz", operation_id="healthz", response_model=Health, summary="Does the process live?")
async def healthz() -> Health:
    """Answer as long as the event loop turns; says nothing of the model."""
    return Health(status="alive")


@router.get(
    "/readyz",
    operation_id="readyz",
    response_model=Health,
    responses=problems(503),
    summary="Can it answer predictions?",
)
async def readyz(request: Request) -> Health:
    """Answer 200 only while a model is loaded, warmed and able to answer."""
    await state_of(request).check_ready()
    return Health(status="ready")


@router.get("/metrics", operation_id="metrics", summary="Prometheus series", response_class=Response)
async def metrics(request: Request) -> Response:
    """Render every series in the Prometheus text format; of all workers, where there are several."""
    state = state_of(request)
    if state.scorer is not None:
        state.metrics.queue.set(state.scorer.slots.waiting)
    return Response(state.metrics.render(), media_type=CONTENT_TYPE_LATEST)

"""``POST /predict``: a picture in, its verdict out."""

import asyncio
import json
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.routing import APIRoute

from service import telemetry
from service.contract.judgement import answer
from service.errors import RequestError
from service.intake import FIELD, read_picture
from service.metrics import Metrics
from service.schemas import Prediction, problems
from service.scoring import Scored, Scorer
from service.state import State
from service.tickets import Ticket

router = APIRouter()

_BINARY = {"type": "string", "format": "binary"}
_PICTURE_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {"schema": {"type": "object", "required": [FIELD], "properties": {FIELD: _BINARY}}},
            "image/*": {"schema": _BINARY},
        },
    }
}


class DirectRoute(APIRoute):
    """A route whose endpoint takes the request and returns the response.

    FastAPI would resolve dependencies that there are none of, and validate and copy an answer that is
    made from checked values; the schemas stand in OpenAPI all the same, and tests hold answers against them.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the endpoint itself."""
        endpoint: Callable[[Request], Coroutine[Any, Any, Response]] = self.endpoint
        return endpoint


async def predict(request: Request) -> Response:
    """Score one JPEG, PNG or WebP, sent as multipart part `file` or as a raw `image/*` body."""
    state: State = request.app.state.service
    scorer = state.ready_scorer()
    with state.permit(scorer):
        # Not by a name of its own, which would keep the bytes until the answer is written.
        ticket = scorer.submit(await _picture(request, state))
        state.count_queue(scorer)
        departure = asyncio.create_task(_refuse_on_departure(request, ticket))
        try:
            scored = await scorer.score(ticket)
        finally:
            departure.cancel()
    _record(state.metrics, scored)
    telemetry.record(scored.stages)
    body = json.dumps(_prediction(scored, scorer), separators=(",", ":"), allow_nan=False)
    return Response(body, headers={"Server-Timing": _server_timing(scored)}, media_type="application/json")


router.add_api_route(
    "/predict",
    predict,
    methods=["POST"],
    response_model=Prediction,
    openapi_extra=_PICTURE_BODY,
    responses=problems(400, 408, 413, 415, 422, 429, 431, 500, 503, 504),
    summary="Is this face real or AI-generated?",
    route_class_override=DirectRoute,
)


async def _picture(request: Request, state: State) -> bytes:
    settings = state.settings
    return await read_picture(request, settings.max_bytes, settings.body_timeout_s, state.arrivals)


async def _refuse_on_departure(request: Request, ticket: Ticket) -> None:
    """Wait for the client to close the connection, and let nobody work for it any more."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
    ticket.refuse(RequestError("client_disconnected", "the client left before its answer"))


def _record(metrics: Metrics, scored: Scored) -> None:
    judgement = scored.judgement
    metrics.verdicts.labels(judgement.verdict.verdict).inc()
    metrics.fake_probability.observe(judgement.verdict.p_fake)
    metrics.faces.observe(len(judgement.faces))
    for reason in judgement.reasons:
        metrics.reasons.labels(reason).inc()
    for stage, milliseconds in scored.timings_ms.items():
        metrics.stages[stage].observe(milliseconds / 1000)


def _prediction(scored: Scored, scorer: Scorer) -> dict[str, Any]:
    """Return the body of an answer, as :class:`service.schemas.Prediction` describes it."""
    spec, image = scorer.engine.spec, scored.image
    found = answer(scored.judgement, scorer.policy)
    return {
        "verdict": found.pop("verdict"),
        "confidence": found.pop("confidence"),
        "probabilities": found.pop("probabilities"),
        "thresholds": {"real": spec.threshold_real, "fake": spec.threshold_fake},
        **found,  # faces and reasons, where they are looked for
        "image": {"format": image.format, "width": image.width, "height": image.height, "sha256": image.sha256},
        "model": {"name": spec.name, "version": spec.version, "sha256": scorer.engine.sha256},
        "timings_ms": scored.timings_ms,
    }


def _server_timing(scored: Scored) -> str:
    """Return the stages as the ``Server-Timing`` header has them (W3C), milliseconds."""
    return ", ".join(f"{stage};dur={milliseconds}" for stage, milliseconds in scored.timings_ms.items())

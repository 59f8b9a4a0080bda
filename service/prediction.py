"""``POST /predict``: a picture in, its verdict out."""

import asyncio
import json

from fastapi import APIRouter, Request, Response

from service.answers import scored_prediction
from service.direct import DirectRoute
from service.errors import RequestError
from service.form import FIELD
from service.intake import read_picture
from service.schemas import Prediction, problems
from service.scoring import Scored
from service.state import State, state_of
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


async def predict(request: Request) -> Response:
    """Score one JPEG, PNG or WebP, sent as multipart part `file` or as a raw `image/*` body."""
    state = state_of(request)
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
    state.record(scored)
    body = json.dumps(scored_prediction(scored, scorer), separators=(",", ":"), allow_nan=False)
    return Response(body, headers={"Server-Timing": _server_timing(scored)}, media_type="application/json")


router.add_api_route(
    "/predict",
    predict,
    methods=["POST"],
    operation_id="predict",
    response_model=Prediction,
    openapi_extra=_PICTURE_BODY,
    responses=problems(400, 401, 408, 413, 415, 422, 429, 431, 500, 503, 504, without="malformed_tensor"),
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


def _server_timing(scored: Scored) -> str:
    """Return the stages as the ``Server-Timing`` header has them (W3C), milliseconds."""
    return ", ".join(f"{stage};dur={milliseconds}" for stage, milliseconds in scored.timings_ms.items())

"""``POST /predict``: a picture in, its verdict out."""

import json

from fastapi import APIRouter, Request, Response

from service.api.endpoint import DirectRoute
from service.api.responses import scored_prediction
from service.api.schemas import OF_PARAMETERS, OF_TENSORS, OF_VIDEOS, Prediction, problems
from service.api.single import PICTURE_BODY, read_payload, scored_for
from service.inference.scorer import Scored
from service.lifecycle.state import state_of

router = APIRouter()


async def predict(request: Request) -> Response:
    """Score one JPEG, PNG or WebP, sent as multipart part `file` or as a raw `image/*` body."""
    state = state_of(request)
    scorer = state.ready_scorer()
    with state.permit(scorer):
        # Not by a name of its own, which would keep the bytes until the answer is written.
        scored = await scored_for(request, state, scorer, await read_payload(request, state))
    body = json.dumps(scored_prediction(scored, scorer), separators=(",", ":"), allow_nan=False)
    return Response(body, headers={"Server-Timing": _server_timing(scored)}, media_type="application/json")


router.add_api_route(
    "/predict",
    predict,
    methods=["POST"],
    operation_id="predict",
    response_model=Prediction,
    openapi_extra=PICTURE_BODY,
    responses=problems(
        400, 401, 408, 413, 415, 422, 429, 431, 500, 503, 504, without=OF_PARAMETERS | OF_TENSORS | OF_VIDEOS
    ),
    summary="Is this face real or AI-generated?",
    route_class_override=DirectRoute,
)


def _server_timing(scored: Scored) -> str:
    """Return the stages as the ``Server-Timing`` header has them (W3C), milliseconds."""
    return ", ".join(f"{stage};dur={milliseconds}" for stage, milliseconds in scored.timings_ms.items())

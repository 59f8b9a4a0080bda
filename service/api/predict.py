"""``POST /predict``: the verdict on one picture."""

from fastapi import APIRouter, Request, Response

from service.api.direct_route import DirectRoute
from service.api.disconnect import until_disconnect
from service.api.openapi import PARAMETER_CODES, TENSOR_CODES, VIDEO_CODES, file_body, problems
from service.api.responses import json_response, timed_prediction
from service.api.schemas import Prediction
from service.api.upload import read_picture
from service.inference.scorer import Scored
from service.lifecycle.state import state_of

router = APIRouter(route_class=DirectRoute)


@router.post(
    "/predict",
    operation_id="predict",
    response_model=Prediction,
    openapi_extra=file_body("image"),
    responses=problems(
        400, 401, 408, 413, 415, 422, 429, 431, 500, 503, 504, exclude=PARAMETER_CODES | TENSOR_CODES | VIDEO_CODES
    ),
    summary="Classify a picture as real or AI-generated",
)
async def predict(request: Request) -> Response:
    """Score one JPEG, PNG or WebP, sent as multipart part `file` or as a raw `image/*` body."""
    state = state_of(request)
    with state.admit() as admitted:
        # No variable refers to the bytes, because it would keep them in memory until the response is sent.
        job = admitted.submit(await read_picture(request, state.picture_body))
        async with until_disconnect(request):
            scored = await admitted.score(job)
    return json_response(timed_prediction(scored, admitted.scorer), {"Server-Timing": _server_timing(scored)})


def _server_timing(scored: Scored) -> str:
    """Return the value of the ``Server-Timing`` header (W3C): the duration of each stage, milliseconds."""
    return ", ".join(f"{stage};dur={milliseconds}" for stage, milliseconds in scored.timings_ms.items())

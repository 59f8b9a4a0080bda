"""``POST /predict/batch``: a prediction or a problem for each of several pictures."""

import json
from typing import Any

from fastapi import APIRouter, Request, Response

from service.api.direct_route import DirectRoute
from service.api.disconnect import until_disconnect
from service.api.openapi import PARAMETER_CODES, TENSOR_CODES, VIDEO_CODES, files_body, problems
from service.api.responses import refusal, timed_prediction
from service.api.schemas import BatchPrediction
from service.api.upload import check_payload, read_pictures
from service.errors import RequestError, problem_details
from service.inference.job import Payload
from service.inference.scorer import Scored
from service.lifecycle.state import state_of

router = APIRouter(route_class=DirectRoute)


@router.post(
    "/predict/batch",
    operation_id="predict_batch",
    response_model=BatchPrediction,
    openapi_extra=files_body(),
    responses=problems(
        400, 401, 408, 413, 415, 429, 431, 500, 503, exclude=PARAMETER_CODES | TENSOR_CODES | VIDEO_CODES
    ),
    summary="Classify several pictures as real or AI-generated",
)
async def predict_batch(request: Request) -> Response:
    """Score several pictures, each a multipart part `file`. A refused picture does not fail the others.

    The response has one result for each part, in order: `status` 200 and a `prediction`, or the error status that
    `/predict` would return and a `problem`.
    """
    state, request_id = state_of(request), request.scope["request_id"]
    with state.admit() as admitted:
        uploads = await read_pictures(request, state.settings.max_files, state.request_body)
        with state.bodies.hold(sum(len(upload.payload) for upload in uploads)):
            payloads = [_checked(upload.payload, state.settings.max_bytes) for upload in uploads]
            async with until_disconnect(request):
                scored = await admitted.score_all(payloads)
    results: list[dict[str, Any]] = []
    for number, (upload, item) in enumerate(zip(uploads, scored, strict=True)):
        result: dict[str, Any] = {"index": number, "filename": upload.filename}
        if isinstance(item, Scored):
            result |= {"status": 200, "prediction": timed_prediction(item, admitted.scorer)}
        else:
            code, detail = refusal(item, request_id=request_id)
            state.metrics.refusals.labels(code).inc()
            problem = problem_details(code, detail, request_id)
            result |= {"status": problem["status"], "problem": problem}
        results.append(result)
    return Response(json.dumps({"results": results}, allow_nan=False), media_type="application/json")


def _checked(payload: bytes, max_bytes: int) -> Payload | Exception:
    try:
        check_payload(payload, max_bytes)
    except RequestError as error:
        return error
    return payload

"""``POST /predict/batch``: several pictures in, an answer or a refusal for each out."""

import json
from typing import Any

from fastapi import APIRouter, Request, Response

from service.api.endpoint import DirectRoute
from service.api.form import FIELD
from service.api.refused import refusal
from service.api.responses import scored_prediction
from service.api.schemas import OF_PARAMETERS, OF_TENSORS, OF_VIDEOS, BatchPrediction, problems
from service.api.several import score_all
from service.api.upload import Upload, check_payload, read_pictures
from service.errors import RequestError, problem_details
from service.inference.job import Payload
from service.inference.scorer import Scored, Scorer
from service.lifecycle.state import State, state_of

router = APIRouter()
_PICTURES_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": [FIELD],
                    "properties": {
                        FIELD: {"type": "array", "minItems": 1, "items": {"type": "string", "format": "binary"}}
                    },
                }
            }
        },
    }
}


async def predict_batch(request: Request) -> Response:
    """Score several pictures, each a multipart part `file`; one that is refused does not fail the others.

    The answer holds a result for each part, in order: `status` 200 with a `prediction`, or the status that `/predict`
    would have refused it with, and the `problem`.
    """
    state = state_of(request)
    scorer, settings = state.ready_scorer(), state.settings
    with state.permit(scorer):
        uploads = await read_pictures(
            request, settings.max_files, settings.max_request_bytes, settings.body_timeout_s, state.arrivals
        )
        with state.arrivals.keep(sum(len(upload.payload) for upload in uploads)):
            checked = [_checked(upload.payload, settings.max_bytes) for upload in uploads]
            scored = await score_all(request, scorer, checked)
    request_id = request.scope["request_id"]
    results = [
        _result(number, upload, item, scorer, state, request_id)
        for number, (upload, item) in enumerate(zip(uploads, scored, strict=True))
    ]
    return Response(json.dumps({"results": results}, allow_nan=False), media_type="application/json")


router.add_api_route(
    "/predict/batch",
    predict_batch,
    methods=["POST"],
    operation_id="predict_batch",
    response_model=BatchPrediction,
    openapi_extra=_PICTURES_BODY,
    responses=problems(400, 401, 408, 413, 415, 429, 431, 500, 503, without=OF_PARAMETERS | OF_TENSORS | OF_VIDEOS),
    summary="Which of these faces are AI-generated?",
    route_class_override=DirectRoute,
)


def _checked(payload: bytes, max_bytes: int) -> Payload | Exception:
    try:
        check_payload(payload, max_bytes)
    except RequestError as error:
        return error
    return payload


def _result(
    number: int, upload: Upload, item: Scored | Exception, scorer: Scorer, state: State, request_id: str
) -> dict[str, Any]:
    found: dict[str, Any] = {"index": number, "filename": upload.filename}
    if isinstance(item, Scored):
        state.record(item)
        return found | {"status": 200, "prediction": scored_prediction(item, scorer)}
    code, detail = refusal(item, request_id=request_id)
    state.metrics.refusals.labels(code).inc()
    body = problem_details(code, detail, request_id)
    return found | {"status": body["status"], "problem": body}

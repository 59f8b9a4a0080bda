"""``POST /explain``: the verdict on one picture, and the evidence for it in each part of the picture."""

import asyncio
from typing import Any, Literal, get_args

from fastapi import APIRouter, Request, Response

from service.api.direct_route import DirectRoute
from service.api.disconnect import until_disconnect
from service.api.openapi import TENSOR_CODES, VIDEO_CODES, file_body, problems
from service.api.overlay import overlay
from service.api.responses import json_response, timed_prediction
from service.api.schemas import Explanation
from service.api.upload import read_picture
from service.contract.verdict.evidence import Evidence, from_map, from_occlusion, occluded
from service.errors import RequestError
from service.inference.job import Job
from service.inference.scorer import Scored, Scorer
from service.lifecycle.admission import Admitted
from service.lifecycle.state import State, state_of

router = APIRouter(route_class=DirectRoute)
Format = Literal["json", "png"]
_PARAMETER = {
    "name": "format",
    "in": "query",
    "required": False,
    "description": "`json`: the values; `png`: the picture with the values as an overlay, at most 1024 pixels a side.",
    "schema": {"type": "string", "enum": list(get_args(Format)), "default": "json"},
}
_PNG_RESPONSE: dict[int | str, dict[str, Any]] = {
    200: {"content": {"image/png": {"schema": {"type": "string", "format": "binary"}}}}
}


@router.post(
    "/explain",
    operation_id="explain",
    response_model=Explanation,
    openapi_extra=file_body("image") | {"parameters": [_PARAMETER]},
    responses=_PNG_RESPONSE
    | problems(400, 401, 408, 413, 415, 422, 429, 431, 500, 503, 504, exclude=TENSOR_CODES | VIDEO_CODES),
    summary="Classify a picture, with the evidence in each part of it",
)
async def explain(request: Request) -> Response:
    """Score one picture like `/predict`, and return the evidence for fake or real in each part of it."""
    state = state_of(request)
    state.ready_scorer()
    response_format = _format(request)  # before the request is admitted: a client would retry what is overloaded
    with state.admit() as admitted:
        payload = await read_picture(request, state.picture_body)
        with state.bodies.hold(len(payload)):
            async with until_disconnect(request):
                return await _explanation(state, admitted, payload, response_format)


def _evidence_fields(evidence: Evidence) -> dict[str, Any]:
    """Return evidence as described by :class:`service.api.schemas.EvidenceMap`."""
    left, top, right, bottom = evidence.box
    rows, columns = evidence.values.shape
    return {
        "method": evidence.method,
        "box": {"left": left, "top": top, "width": right - left, "height": bottom - top},
        "rows": rows,
        "columns": columns,
        "values": evidence.values.round(4).tolist(),
    }


async def _explanation(state: State, admitted: Admitted, payload: bytes, response_format: Format) -> Response:
    """Score a picture, run the model again for the evidence, and build the response, all within one deadline."""
    scorer, settings = admitted.scorer, state.settings
    try:
        async with asyncio.timeout(settings.deadline_s):
            job = admitted.submit(payload)
            scored = await admitted.score(job, count_verdict=False)
            evidence = await _evidence(scorer, job, scored)
            if response_format == "png":
                exif_policy = scorer.engine.spec.exif_policy
                png = await scorer.call(lambda: overlay(payload, settings.limits, exif_policy, evidence))
                return Response(png, media_type="image/png")
    except TimeoutError:
        detail = f"no result within the limit of {settings.deadline_s:g} s"
        raise RequestError("deadline_exceeded", detail) from None
    return json_response(timed_prediction(scored, scorer) | {"evidence": _evidence_fields(evidence)})


async def _evidence(scorer: Scorer, job: Job, scored: Scored) -> Evidence:
    """Return the evidence for the model input that decided the verdict."""
    engine, index = scorer.engine, scored.judgement.look
    tensor, box = job.prepared.tensors[index], job.prepared.looks[index].box
    if engine.evidence_size:
        (values,) = await scorer.call(lambda: engine.evidence(tensor[None]))
        return from_map(values, engine.spec, box)
    variants = await scorer.call(lambda: occluded(tensor))
    return from_occlusion(await scorer.logits(job, variants), engine.spec, box)


def _format(request: Request) -> Format:
    value = request.query_params.get("format", "json")
    if value not in get_args(Format):
        raise RequestError("invalid_parameter", f"format is {value[:40]!r}, not {' or '.join(get_args(Format))}")
    return "png" if value == "png" else "json"

"""``POST /explain``: a picture in, its verdict out, and which parts of it spoke for that."""

import asyncio
import json
from typing import Any, Literal, get_args

from fastapi import APIRouter, Request, Response

from service.api.disconnect import while_connected
from service.api.endpoint import DirectRoute
from service.api.overlay import overlay
from service.api.responses import scored_prediction
from service.api.schemas import OF_TENSORS, OF_VIDEOS, Explanation, problems
from service.api.single import PICTURE_BODY, read_payload
from service.contract.verdict.evidence import Evidence, from_map, from_occlusion, occluded
from service.errors import RequestError
from service.inference.job import Ticket
from service.inference.scorer import Scored, Scorer
from service.lifecycle.state import State, state_of

router = APIRouter()
Format = Literal["json", "png"]
_PARAMETER = {
    "name": "format",
    "in": "query",
    "required": False,
    "description": "`json`: the numbers; `png`: the picture with them drawn over it, at most 1024 pixels a side.",
    "schema": {"type": "string", "enum": list(get_args(Format)), "default": "json"},
}


_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {"content": {"image/png": {"schema": {"type": "string", "format": "binary"}}}}
}


async def explain(request: Request) -> Response:
    """Score one picture as `/predict` does, and tell what each part of it said for fake or for real."""
    state = state_of(request)
    scorer, wanted = state.ready_scorer(), _format(request)
    with state.permit(scorer):
        payload = await read_payload(request, state)
        with state.arrivals.keep(len(payload)):
            return await while_connected(request, _answer(state, scorer, payload, wanted))


router.add_api_route(
    "/explain",
    explain,
    methods=["POST"],
    operation_id="explain",
    response_model=Explanation,
    openapi_extra=PICTURE_BODY | {"parameters": [_PARAMETER]},
    responses=_ANSWERS
    | problems(400, 401, 408, 413, 415, 422, 429, 431, 500, 503, 504, without=OF_TENSORS | OF_VIDEOS),
    summary="Which parts of this face speak for real, and which for AI-generated?",
    route_class_override=DirectRoute,
)


def evidence_fields(evidence: Evidence) -> dict[str, Any]:
    """Return evidence as :class:`service.api.schemas.EvidenceMap` describes it."""
    left, top, right, bottom = evidence.box
    rows, columns = evidence.values.shape
    return {
        "method": evidence.method,
        "box": {"left": left, "top": top, "width": right - left, "height": bottom - top},
        "rows": rows,
        "columns": columns,
        "values": evidence.values.round(4).tolist(),
    }


async def _answer(state: State, scorer: Scorer, payload: bytes, wanted: Format) -> Response:
    """Score a picture, look at it once more, and say or draw what was found; all of it within one deadline."""
    deadline_s = state.settings.deadline_s
    try:
        async with asyncio.timeout(deadline_s):
            ticket = scorer.submit(payload)
            state.count_queue(scorer)
            scored = await scorer.score(ticket)
            state.observe(scored)
            evidence = await _evidence(scorer, ticket, scored)
            if wanted == "png":
                spec, limits = scorer.engine.spec, state.settings.limits
                drawn = await scorer.run(lambda: overlay(payload, limits, spec.exif_policy, evidence))
                return Response(drawn, media_type="image/png")
    except TimeoutError:
        raise RequestError("deadline_exceeded", f"no answer within the limit of {deadline_s:g} s") from None
    answer = scored_prediction(scored, scorer) | {"evidence": evidence_fields(evidence)}
    return Response(json.dumps(answer, separators=(",", ":"), allow_nan=False), media_type="application/json")


async def _evidence(scorer: Scorer, ticket: Ticket, scored: Scored) -> Evidence:
    """Look once more at what decided the verdict."""
    engine, index = scorer.engine, scored.judgement.look
    tensor, box = ticket.prepared.tensors[index], ticket.prepared.looks[index].box
    if engine.evidence_size:
        (values,) = await scorer.run(lambda: engine.evidence(tensor[None]))
        return from_map(values, engine.spec, box)
    variants = await scorer.run(lambda: occluded(tensor))
    return from_occlusion(await scorer.logits(ticket, variants), engine.spec, box)


def _format(request: Request) -> Format:
    given = request.query_params.get("format", "json")
    if given not in get_args(Format):
        raise RequestError("invalid_parameter", f"format is {given[:40]!r}, not {' or '.join(get_args(Format))}")
    return "png" if given == "png" else "json"

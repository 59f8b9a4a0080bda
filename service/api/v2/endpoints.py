"""``/v2``: health, metadata and inference."""

import asyncio
import json
from typing import Any

from fastapi import APIRouter, Request, Response
from pydantic import ValidationError

from service import __version__
from service.api.disconnect import until_disconnect
from service.api.endpoint import DirectRoute
from service.api.openapi import OF_PARAMETERS, OF_VIDEOS, problems
from service.api.responses import refusal, timed_prediction
from service.api.upload import check_payload, read_body
from service.api.v2.protocol import (
    InferenceRequest,
    InferenceResponse,
    Live,
    ModelMetadata,
    Ready,
    ServerMetadata,
    in_words,
)
from service.api.v2.tensor_codec import FILES, OUTPUTS, PIXELS, encoded, malformed, pictures
from service.errors import RequestError
from service.inference.job import Payload
from service.inference.scorer import Scored, Scorer
from service.lifecycle.state import state_of
from service.settings import Settings

router = APIRouter()
_LENGTH = "Inference-Header-Content-Length"
_LONGEST_LENGTH = 20
# A JSON of more values than this would keep the interpreter from everything else for too long.
_MOST_VALUES = 1_000_000
_MODEL, _VERSION = "/v2/models/{name}", "/v2/models/{name}/versions/{version}"
_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": {"$ref": "#/components/schemas/InferenceRequest"}},
        },
    }
}


@router.get("/v2", operation_id="v2_server", response_model=ServerMetadata, summary="Which server is this?")
async def server() -> ServerMetadata:
    """Tell name, version and extensions."""
    return ServerMetadata(name="face-authenticity", version=__version__, extensions=["binary_tensor_data"])


@router.get("/v2/health/live", operation_id="v2_live", response_model=Live, summary="Does the process live?")
async def live() -> Live:
    """Answer as `/healthz`."""
    return Live(live=True)


@router.get(
    "/v2/health/ready",
    operation_id="v2_ready",
    response_model=Ready,
    response_model_exclude_none=True,
    responses=problems(503),
    summary="Can it answer?",
)
async def ready(request: Request) -> Ready:
    """Answer as `/readyz`."""
    await state_of(request).check_ready()
    return Ready(ready=True)


async def model(request: Request) -> ModelMetadata:
    """Tell inputs, of which a request holds one, and outputs."""
    spec = _named(request, state_of(request).loaded_scorer()).engine.spec
    return ModelMetadata(
        name=spec.name,
        versions=[spec.version],
        platform="onnxruntime",
        inputs=[FILES, PIXELS],
        outputs=list(OUTPUTS.values()),
    )


async def model_ready(request: Request) -> Ready:
    """Answer as `/readyz`."""
    state = state_of(request)
    scorer = _named(request, state.ready_scorer())
    await state.check_ready()
    return Ready(ready=True, name=scorer.engine.spec.name)


async def infer(request: Request) -> Response:
    """Score the pictures of one tensor: `image`, files as BYTES, or `pixels`, decoded ones as UINT8.

    The body is JSON, or JSON with binary data behind it (`Inference-Header-Content-Length`), which this document cannot
    describe. Outputs are `verdict`, `confidence`, `probabilities` (real, fake) and `prediction`, the whole answer as
    JSON. One picture that is refused refuses the request.
    """
    state = state_of(request)
    settings = state.settings
    scorer = _named(request, state.ready_scorer())
    if coding := request.headers.get("content-encoding"):
        raise RequestError(
            "unsupported_media_type", f"Content-Encoding {coding[:40]!r} is not read here; send it plain"
        )
    with state.admission.admit(scorer) as admitted:
        body = await read_body(request, state.request_body)
        with state.bodies.hold(len(body)):
            length = request.headers.get(_LENGTH.lower())
            inference, payloads = await asyncio.to_thread(read_request, body, length, settings)
            del body  # only the pictures are needed from here on
            async with until_disconnect(request):
                results = await admitted.score_all(payloads, all_or_none=True)
    return _answer(inference, [_passed(number, item, request) for number, item in enumerate(results)], scorer)


def _parameters(*names: str) -> dict[str, Any]:
    """Return the OpenAPI of parameters that stand in the path."""
    return {
        "parameters": [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names]
    }


for _path, _suffix, _extra in (
    (_MODEL, "", _parameters("name")),
    (_VERSION, "_version", _parameters("name", "version")),
):
    router.add_api_route(
        _path,
        model,
        operation_id=f"v2_model{_suffix}",
        response_model=ModelMetadata,
        responses=problems(401, 404, 503),
        openapi_extra=_extra,
        summary="What does the model take and give?",
    )
    router.add_api_route(
        f"{_path}/ready",
        model_ready,
        operation_id=f"v2_model_ready{_suffix}",
        response_model=Ready,
        responses=problems(401, 404, 503),
        openapi_extra=_extra,
        summary="Can the model answer?",
    )
    router.add_api_route(
        f"{_path}/infer",
        infer,
        methods=["POST"],
        operation_id=f"v2_infer{_suffix}",
        response_model=InferenceResponse,
        responses=problems(
            400, 401, 404, 408, 413, 415, 422, 429, 431, 500, 503, 504, without=OF_PARAMETERS | OF_VIDEOS
        ),
        openapi_extra=_extra | _BODY,
        summary="Which of these faces are AI-generated?",
        route_class_override=DirectRoute,
    )


def _named(request: Request, scorer: Scorer) -> Scorer:
    """Return the scorer if its model is the one that the path names."""
    spec = scorer.engine.spec
    name, version = request.path_params["name"], request.path_params.get("version", spec.version)
    if (name, version) != (spec.name, spec.version):
        raise RequestError(
            "unknown_model",
            f"there is no model {name[:80]!r}, version {version[:40]!r}, only {spec.name} {spec.version}",
        )
    return scorer


def read_request(
    body: bytes, length: str | None, settings: Settings
) -> tuple[InferenceRequest, list[Payload | Exception]]:
    """Return an inference request, and its pictures.

    Args:
        body: JSON, and what stands behind it.
        length: of the JSON, as the header has it; None: all of it.
        settings: with the limits.

    Raises:
        RequestError: it is malformed, or a picture by its first bytes is none.
    """
    if length is None:
        text, binary = body, b""
    elif not length.isdecimal() or len(length) > _LONGEST_LENGTH or int(length) > len(body):
        raise malformed(f"{_LENGTH} is {length[:20]!r}, and the body has {len(body)} bytes")
    else:
        text, binary = body[: int(length)], body[int(length) :]
    values = text.count(b",") + text.count(b"[") + text.count(b"{")
    if values > _MOST_VALUES:
        raise malformed(f"the JSON has {values} values, over the limit of {_MOST_VALUES}; send pixels as binary data")
    try:
        asked = InferenceRequest.model_validate_json(text)
    except ValidationError as error:
        raise malformed(in_words(error.errors(include_url=False, include_context=False))) from None
    for output in asked.outputs or []:
        if output.name not in OUTPUTS:
            raise malformed(f"there is no output {output.name!r}, only {', '.join(OUTPUTS)}")
        if unknown := output.parameters.keys() & {"classification", "shared_memory_region"}:
            raise malformed(f"output {output.name!r}: {', '.join(sorted(unknown))} is not known here")
    found = pictures(asked.inputs[0], binary, settings.max_files)
    for number, payload in enumerate(found):
        if isinstance(payload, bytes):
            try:
                check_payload(payload, settings.max_bytes)
            except RequestError as error:
                raise _of_element(number, error.code, error.detail) from None
    return asked, list(found)


def _of_element(number: int, code: str, detail: str) -> RequestError:
    return RequestError(code, f"element {number}: {detail}")


def _passed(number: int, item: Scored | Exception, request: Request) -> Scored:
    if isinstance(item, Scored):
        return item
    raise _of_element(number, *refusal(item, request_id=request.scope["request_id"]))


def _answer(asked: InferenceRequest, scored: list[Scored], scorer: Scorer) -> Response:
    predictions = [timed_prediction(item, scorer) for item in scored]
    by_default = asked.parameters.get("binary_data_output") is True
    wanted = dict.fromkeys(OUTPUTS, by_default)
    if asked.outputs:
        wanted = {item.name: item.parameters.get("binary_data", by_default) is True for item in asked.outputs}
    outputs = [encoded(name, predictions, binary) for name, binary in wanted.items()]
    spec = scorer.engine.spec
    fields: dict[str, Any] = {"model_name": spec.name, "model_version": spec.version}
    if asked.id is not None:
        fields["id"] = asked.id
    fields["outputs"] = [output.fields for output in outputs]
    text = json.dumps(fields, separators=(",", ":"), allow_nan=False).encode()
    if not any(wanted.values()):
        return Response(text, media_type="application/json")
    binary = b"".join(output.binary for output in outputs)
    return Response(text + binary, headers={_LENGTH: str(len(text))}, media_type="application/octet-stream")

"""``/v2``: health, metadata and inference endpoints of the Open Inference Protocol."""

import asyncio
import json
from typing import Any

from fastapi import APIRouter, Request, Response
from pydantic import ValidationError

from service import __version__
from service.api.direct_route import DirectRoute
from service.api.disconnect import until_disconnect
from service.api.openapi import PARAMETER_CODES, VIDEO_CODES, problems
from service.api.responses import refusal, timed_prediction
from service.api.upload import check_payload, read_body
from service.api.v2.protocol import (
    InferenceRequest,
    InferenceResponse,
    Live,
    ModelMetadata,
    Ready,
    ServerMetadata,
    validation_message,
)
from service.api.v2.tensor_codec import FILES, OUTPUTS, PIXELS, encode_output, malformed, pictures
from service.errors import RequestError
from service.inference.job import Payload
from service.inference.scorer import Scored, Scorer
from service.lifecycle.state import state_of
from service.settings import Settings

router = APIRouter()
_LENGTH_HEADER = "Inference-Header-Content-Length"
_MAX_LENGTH_DIGITS = 20
# Parsing JSON with more values would block the interpreter for too long.
_MAX_JSON_VALUES = 1_000_000
_MODEL, _VERSION = "/v2/models/{name}", "/v2/models/{name}/versions/{version}"
_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": {"$ref": "#/components/schemas/InferenceRequest"}},
        },
    }
}


@router.get("/v2", operation_id="v2_server", response_model=ServerMetadata, summary="Server metadata")
async def server() -> ServerMetadata:
    """Return name, version and extensions."""
    return ServerMetadata(name="face-authenticity", version=__version__, extensions=["binary_tensor_data"])


@router.get("/v2/health/live", operation_id="v2_live", response_model=Live, summary="Server liveness")
async def live() -> Live:
    """Same as `/healthz`."""
    return Live(live=True)


@router.get(
    "/v2/health/ready",
    operation_id="v2_ready",
    response_model=Ready,
    response_model_exclude_none=True,
    responses=problems(503),
    summary="Server readiness",
)
async def ready(request: Request) -> Ready:
    """Same as `/readyz`."""
    await state_of(request).check_ready()
    return Ready(ready=True)


async def model(request: Request) -> ModelMetadata:
    """Return the inputs, of which a request sends one, and the outputs."""
    spec = _named_scorer(request, state_of(request).loaded_scorer()).engine.spec
    return ModelMetadata(
        name=spec.name,
        versions=[spec.version],
        platform="onnxruntime",
        inputs=[FILES, PIXELS],
        outputs=list(OUTPUTS.values()),
    )


async def model_ready(request: Request) -> Ready:
    """Same as `/readyz`."""
    state = state_of(request)
    scorer = _named_scorer(request, state.ready_scorer())
    await state.check_ready()
    return Ready(ready=True, name=scorer.engine.spec.name)


async def infer(request: Request) -> Response:
    """Score the pictures of one tensor: `image`, files as BYTES, or `pixels`, decoded pictures as UINT8.

    The body is JSON, or JSON followed by binary data (`Inference-Header-Content-Length`), which this document cannot
    describe. The outputs are `verdict`, `confidence`, `probabilities` (real, fake) and `prediction`, the complete
    response of `/predict` as JSON. If one picture is refused, the whole request is refused.
    """
    state = state_of(request)
    # Before the request is admitted: a client would retry what is refused as overloaded.
    scorer = _named_scorer(request, state.ready_scorer())
    if coding := request.headers.get("content-encoding"):
        raise RequestError(
            "unsupported_media_type", f"Content-Encoding {coding[:40]!r} is not supported; send the body uncompressed"
        )
    with state.admit() as admitted:
        body = await read_body(request, state.request_body)
        with state.bodies.hold(len(body)):
            length = request.headers.get(_LENGTH_HEADER.lower())
            inference, payloads = await asyncio.to_thread(read_request, body, length, state.settings)
            del body  # only the pictures are needed now
            async with until_disconnect(request):
                results = await admitted.score_all(payloads, all_or_none=True)
    return _response(
        inference, [_scored_or_raise(number, item, request) for number, item in enumerate(results)], scorer
    )


def _path_parameters(*names: str) -> dict[str, Any]:
    """Return the OpenAPI description of path parameters."""
    return {
        "parameters": [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names]
    }


for _path, _suffix, _extra in (
    (_MODEL, "", _path_parameters("name")),
    (_VERSION, "_version", _path_parameters("name", "version")),
):
    router.add_api_route(
        _path,
        model,
        operation_id=f"v2_model{_suffix}",
        response_model=ModelMetadata,
        responses=problems(401, 404, 503),
        openapi_extra=_extra,
        summary="Model metadata",
    )
    router.add_api_route(
        f"{_path}/ready",
        model_ready,
        operation_id=f"v2_model_ready{_suffix}",
        response_model=Ready,
        responses=problems(401, 404, 503),
        openapi_extra=_extra,
        summary="Model readiness",
    )
    router.add_api_route(
        f"{_path}/infer",
        infer,
        methods=["POST"],
        operation_id=f"v2_infer{_suffix}",
        response_model=InferenceResponse,
        responses=problems(
            400, 401, 404, 408, 413, 415, 422, 429, 431, 500, 503, 504, exclude=PARAMETER_CODES | VIDEO_CODES
        ),
        openapi_extra=_extra | _BODY,
        summary="Classify the pictures of a tensor as real or AI-generated",
        route_class_override=DirectRoute,
    )


def _named_scorer(request: Request, scorer: Scorer) -> Scorer:
    """Return the scorer if the path names its model and version."""
    spec = scorer.engine.spec
    name, version = request.path_params["name"], request.path_params.get("version", spec.version)
    if (name, version) != (spec.name, spec.version):
        raise RequestError(
            "unknown_model",
            f"unknown model {name[:80]!r}, version {version[:40]!r}; the service has {spec.name} {spec.version}",
        )
    return scorer


def read_request(body: bytes, length: str | None, settings: Settings) -> tuple[InferenceRequest, list[Payload]]:
    """Parse an inference request; return the message and its pictures.

    Args:
        body: JSON, optionally followed by binary data.
        length: length of the JSON in bytes, as sent in the header; None: the whole body.
        settings: for the limits.

    Raises:
        RequestError: the request is malformed, or a picture is empty, too large or of an unknown format.
    """
    if length is None:
        text, binary = body, b""
    elif not length.isdecimal() or len(length) > _MAX_LENGTH_DIGITS or int(length) > len(body):
        raise malformed(
            f"{_LENGTH_HEADER} is {length[:20]!r}, but the body has {len(body)} bytes; send the length of the JSON"
        )
    else:
        text, binary = body[: int(length)], body[int(length) :]
    values = text.count(b",") + text.count(b"[") + text.count(b"{")
    if values > _MAX_JSON_VALUES:
        raise malformed(
            f"the JSON has {values} values, over the limit of {_MAX_JSON_VALUES}; send pixels as binary data"
        )
    try:
        inference = InferenceRequest.model_validate_json(text)
    except ValidationError as error:
        raise malformed(validation_message(error.errors(include_url=False, include_context=False))) from None
    for output in inference.outputs or []:
        if output.name not in OUTPUTS:
            raise malformed(f"unknown output {output.name!r}; valid outputs are {', '.join(OUTPUTS)}")
        if unsupported := output.parameters.keys() & {"classification", "shared_memory_region"}:
            raise malformed(f"output {output.name!r}: {', '.join(sorted(unsupported))} is not supported")
    payloads = pictures(inference.inputs[0], binary, settings.max_files)
    for number, payload in enumerate(payloads):
        if isinstance(payload, bytes):
            try:
                check_payload(payload, settings.max_bytes)
            except RequestError as error:
                raise _element_error(number, error.code, error.detail) from None
    return inference, payloads


def _element_error(number: int, code: str, detail: str) -> RequestError:
    return RequestError(code, f"element {number}: {detail}")


def _scored_or_raise(number: int, item: Scored | Exception, request: Request) -> Scored:
    if isinstance(item, Scored):
        return item
    raise _element_error(number, *refusal(item, request_id=request.scope["request_id"]))


def _response(inference: InferenceRequest, scored: list[Scored], scorer: Scorer) -> Response:
    predictions = [timed_prediction(item, scorer) for item in scored]
    binary_by_default = inference.parameters.get("binary_data_output") is True
    is_binary = dict.fromkeys(OUTPUTS, binary_by_default)
    if inference.outputs:
        is_binary = {
            item.name: item.parameters.get("binary_data", binary_by_default) is True for item in inference.outputs
        }
    outputs = [encode_output(name, predictions, binary) for name, binary in is_binary.items()]
    spec = scorer.engine.spec
    fields: dict[str, Any] = {"model_name": spec.name, "model_version": spec.version}
    if inference.id is not None:
        fields["id"] = inference.id
    fields["outputs"] = [output.fields for output in outputs]
    text = json.dumps(fields, separators=(",", ":"), allow_nan=False).encode()
    if not any(is_binary.values()):
        return Response(text, media_type="application/json")
    binary = b"".join(output.binary for output in outputs)
    return Response(text + binary, headers={_LENGTH_HEADER: str(len(text))}, media_type="application/octet-stream")

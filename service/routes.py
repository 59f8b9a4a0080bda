"""Routes: what each path answers."""

import asyncio
import json
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.routing import APIRoute
from prometheus_client import CONTENT_TYPE_LATEST

from service import telemetry
from service.contract.faces import FINDER
from service.contract.judgement import answer
from service.engine import Engine
from service.errors import ERROR_CODES, MEDIA_TYPE, RequestError
from service.intake import FIELD, read_picture
from service.metrics import Metrics
from service.schemas import (
    FaceFacts,
    Health,
    InputFacts,
    LimitValues,
    ModelFacts,
    Prediction,
    Problem,
    Threads,
    ThresholdValues,
)
from service.scoring import Scored, Scorer
from service.settings import Settings
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


def _problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the OpenAPI responses of these statuses, with the codes that each may carry."""
    responses: dict[int | str, dict[str, Any]] = {}
    for status in statuses:
        codes = [f"`{code}`: {kind.meaning}" for code, kind in ERROR_CODES.items() if kind.status == status]
        content = {MEDIA_TYPE: {"schema": Problem.model_json_schema()}}
        responses[status] = {"description": "\n\n".join(codes), "content": content}
    return responses


class State:
    """What the routes share: settings, metrics, and the scorer while the service is able to answer.

    Attributes:
        draining: accepted requests are finished, new ones refused.
        in_flight: predictions under way.
    """

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        self.settings = settings
        self.metrics = metrics
        self.scorer: Scorer | None = None
        self.draining = False
        self.in_flight = 0

    def loaded_scorer(self) -> Scorer:
        """Return the scorer.

        Raises:
            RequestError: not loaded yet, or no longer.
        """
        if self.scorer is None:
            raise RequestError("not_ready", "the model is not loaded, or the service is shutting down")
        return self.scorer

    def ready_scorer(self) -> Scorer:
        """Return the scorer where new requests are taken.

        Raises:
            RequestError: not loaded, or draining.
        """
        if self.draining:
            raise RequestError("not_ready", "the service is shutting down and finishes what it has accepted")
        return self.loaded_scorer()

    def drain(self) -> None:
        """Refuse new requests from now on."""
        self.draining = True

    @contextmanager
    def permit(self, scorer: Scorer) -> Iterator[None]:
        """Admit one prediction, without waiting.

        Raises:
            RequestError: ``max_in_flight`` are under way, or the queue is full.
        """
        scorer.check_room()
        limit = self.settings.max_in_flight
        if self.in_flight >= limit:
            headers = {"Retry-After": str(scorer.seconds_to_room())}
            raise RequestError("overloaded", f"{self.in_flight} requests reach the limit of {limit}", headers)
        self._count(scorer, 1)
        try:
            yield
        finally:
            self._count(scorer, -1)

    def _count(self, scorer: Scorer, change: int) -> None:
        self.in_flight += change
        self.metrics.in_flight.set(self.in_flight)
        self.count_queue(scorer)

    def count_queue(self, scorer: Scorer) -> None:
        """Tell the metrics how many pictures wait; those whose client has gone do not count."""
        self.metrics.queue.set(min(scorer.waiting, self.in_flight))


def _state(request: Request) -> State:
    state: State = request.app.state.service
    return state


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
    state = _state(request)
    scorer = state.ready_scorer()
    with state.permit(scorer):
        payload = await read_picture(request, state.settings.max_bytes, state.settings.body_timeout_s)
        ticket = scorer.submit(payload)
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
    responses=_problems(400, 408, 413, 415, 422, 429, 500, 503, 504),
    summary="Is this face real or AI-generated?",
    route_class_override=DirectRoute,
)


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
    return answer(scored.judgement, scorer.policy) | {
        "thresholds": {"real": spec.threshold_real, "fake": spec.threshold_fake},
        "image": {"format": image.format, "width": image.width, "height": image.height, "sha256": image.sha256},
        "model": {"name": spec.name, "version": spec.version, "sha256": scorer.engine.sha256},
        "timings_ms": scored.timings_ms,
    }


def _server_timing(scored: Scored) -> str:
    """Return the stages as the ``Server-Timing`` header has them (W3C), milliseconds."""
    return ", ".join(f"{stage};dur={milliseconds}" for stage, milliseconds in scored.timings_ms.items())


def _thresholds(engine: Engine) -> ThresholdValues:
    return ThresholdValues(real=engine.spec.threshold_real, fake=engine.spec.threshold_fake)


@router.get("/healthz", response_model=Health, summary="Does the process live?")
async def healthz() -> Health:
    """Answer as long as the event loop turns; says nothing of the model."""
    return Health(status="alive")


@router.get("/readyz", response_model=Health, responses=_problems(503), summary="Can it answer predictions?")
async def readyz(request: Request) -> Health:
    """Answer 200 only while a model is loaded, warmed and able to answer."""
    if not await _state(request).ready_scorer().ready():
        raise RequestError("not_ready", "the last inference failed, and so did a new try")
    return Health(status="ready")


@router.get(
    "/model", response_model=ModelFacts, responses=_problems(503), summary="Which model, where, within what limits?"
)
async def model(request: Request) -> ModelFacts:
    """Tell what the model file says of itself, and how it is being run."""
    state = _state(request)
    engine, settings = state.loaded_scorer().engine, state.settings
    spec, capacity = engine.spec, settings.capacity(engine.cuda)
    return ModelFacts(
        name=spec.name,
        version=spec.version,
        sha256=engine.sha256,
        classes=list(spec.class_names),
        fake_class=spec.fake_class,
        output_kind=spec.output_kind,
        precision=spec.precision,
        input=InputFacts(
            height=spec.input_height,
            width=spec.input_width,
            resize_filter=spec.resize_filter,
            resize_fit=spec.resize_fit,
            exif_policy=spec.exif_policy,
            framing=spec.framing,
        ),
        faces=FaceFacts(finder=FINDER, margin=spec.face_margin, **asdict(settings.face_policy)),
        temperature=spec.temperature,
        thresholds=_thresholds(engine),
        threshold_rule=spec.threshold_rule,
        dataset_fingerprint=spec.dataset_fingerprint,
        dataset_counts=spec.dataset_counts,
        recipe=spec.recipe,
        metrics=spec.metrics,
        library_versions=spec.library_versions,
        commit=spec.commit,
        execution_provider=engine.provider,
        threads=Threads(
            decode=capacity.decode_threads,
            inference=engine.threads,
            batches_in_flight=capacity.batches_in_flight,
        ),
        limits=LimitValues.model_validate(settings, from_attributes=True),
    )


@router.get("/metrics", summary="Prometheus series", response_class=Response)
async def metrics(request: Request) -> Response:
    """Render every series in the Prometheus text format; of all workers, where there are several."""
    state = _state(request)
    if state.scorer is not None:
        state.count_queue(state.scorer)
    return Response(state.metrics.render(), media_type=CONTENT_TYPE_LATEST)

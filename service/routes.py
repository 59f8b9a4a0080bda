"""Routes: what each path answers."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from service.contract.faces import FINDER
from service.contract.judgement import answer
from service.engine import Engine
from service.errors import ERROR_CODES, MEDIA_TYPE, RequestError
from service.intake import FIELD, read_picture
from service.metrics import Metrics
from service.schemas import (
    FaceFacts,
    Health,
    ImageFacts,
    InputFacts,
    LimitValues,
    ModelFacts,
    ModelIdentity,
    Prediction,
    Problem,
    Threads,
    ThresholdValues,
    TimingsMs,
)
from service.scoring import Scored, Scorer
from service.settings import Settings

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
    """What the routes share: settings, metrics, and the scorer while the service is able to answer."""

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        self.settings = settings
        self.metrics = metrics
        self.scorer: Scorer | None = None
        self.in_flight = 0

    def ready_scorer(self) -> Scorer:
        """Return the scorer.

        Raises:
            RequestError: not loaded yet, or draining.
        """
        if self.scorer is None:
            raise RequestError("not_ready", "the model is not loaded, or the service is shutting down")
        return self.scorer

    @contextmanager
    def permit(self) -> Iterator[None]:
        """Admit one prediction, without waiting.

        Raises:
            RequestError: ``max_in_flight`` are under way.
        """
        limit = self.settings.max_in_flight
        if self.in_flight >= limit:
            raise RequestError(
                "overloaded", f"{self.in_flight} requests reach the limit of {limit}", {"Retry-After": "1"}
            )
        self.in_flight += 1
        self.metrics.in_flight.set(self.in_flight)
        try:
            yield
        finally:
            self.in_flight -= 1
            self.metrics.in_flight.set(self.in_flight)


def _state(request: Request) -> State:
    state: State = request.app.state.service
    return state


@router.post(
    "/predict",
    response_model=Prediction,
    response_model_exclude_none=True,
    openapi_extra=_PICTURE_BODY,
    responses=_problems(400, 408, 413, 415, 422, 429, 500, 503),
    summary="Is this face real or AI-generated?",
)
async def predict(request: Request) -> Prediction:
    """Score one JPEG, PNG or WebP, sent as multipart part `file` or as a raw `image/*` body."""
    state = _state(request)
    scorer = state.ready_scorer()
    with state.permit():
        payload = await read_picture(request, state.settings.max_bytes, state.settings.body_timeout_s)
        scored = await scorer.score(payload)
    _record(state.metrics, scored)
    return _prediction(scored, scorer)


def _record(metrics: Metrics, scored: Scored) -> None:
    judgement = scored.judgement
    metrics.verdicts.labels(judgement.verdict.verdict).inc()
    metrics.faces.observe(len(judgement.faces))
    for reason in judgement.reasons:
        metrics.reasons.labels(reason).inc()
    for stage, milliseconds in asdict(scored.timings).items():
        metrics.stages.labels(stage).observe(milliseconds / 1000)


def _prediction(scored: Scored, scorer: Scorer) -> Prediction:
    engine = scorer.engine
    return Prediction(
        **answer(scored.judgement, scorer.policy),
        thresholds=_thresholds(engine),
        image=ImageFacts.model_validate(asdict(scored.image)),
        model=ModelIdentity(name=engine.spec.name, version=engine.spec.version, sha256=engine.sha256),
        timings_ms=TimingsMs.model_validate(scored.timings, from_attributes=True),
    )


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
    engine, settings = state.ready_scorer().engine, state.settings
    spec = engine.spec
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
        threads=Threads(decode=settings.decode_threads, inference=engine.threads),
        limits=LimitValues.model_validate(settings, from_attributes=True),
    )


@router.get("/metrics", summary="Prometheus series", response_class=Response)
async def metrics(request: Request) -> Response:
    """Render every series in the Prometheus text format."""
    return Response(generate_latest(_state(request).metrics.registry), media_type=CONTENT_TYPE_LATEST)

"""Routes: what each path answers."""

from dataclasses import asdict

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST

from service import batch, explain, pages, predict_video, prediction, stream
from service.contract.faces.face import FINDER
from service.errors import RequestError
from service.inference.engine import Engine
from service.lifecycle.state import state_of
from service.provenance import c2pa_reader
from service.schemas import (
    Abilities,
    FaceFacts,
    Health,
    InputFacts,
    LimitValues,
    ModelFacts,
    Threads,
    ThresholdValues,
    problems,
)
from service.v2 import routes as v2
from service.video import frames

router = APIRouter()
for _module in (prediction, batch, explain, predict_video, stream, pages, v2):
    router.routes += _module.router.routes


def _thresholds(engine: Engine) -> ThresholdValues:
    return ThresholdValues(real=engine.spec.threshold_real, fake=engine.spec.threshold_fake)


@router.get("/healthz", operation_id="healthz", response_model=Health, summary="Does the process live?")
async def healthz() -> Health:
    """Answer as long as the event loop turns; says nothing of the model."""
    return Health(status="alive")


@router.get(
    "/readyz",
    operation_id="readyz",
    response_model=Health,
    responses=problems(503),
    summary="Can it answer predictions?",
)
async def readyz(request: Request) -> Health:
    """Answer 200 only while a model is loaded, warmed and able to answer."""
    if reason := await state_of(request).ready_scorer().unready():
        raise RequestError("not_ready", reason)
    return Health(status="ready")


@router.get(
    "/model",
    operation_id="model",
    response_model=ModelFacts,
    responses=problems(503),
    summary="Which model, where, within what limits?",
)
async def model(request: Request) -> ModelFacts:
    """Tell what the model file says of itself, and how it is being run."""
    state = state_of(request)
    engine, settings = state.loaded_scorer().engine, state.settings
    spec, capacity = engine.spec, settings.capacity(engine.on_cuda)
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
        abilities=Abilities(video=frames.available(), content_credentials=c2pa_reader.available()),
        limits=LimitValues.model_validate(settings.model_dump() | {"max_queue": capacity.max_queue}),
    )


@router.get("/metrics", operation_id="metrics", summary="Prometheus series", response_class=Response)
async def metrics(request: Request) -> Response:
    """Render every series in the Prometheus text format; of all workers, where there are several."""
    state = state_of(request)
    if state.scorer is not None:
        state.count_queue(state.scorer)
    return Response(state.metrics.render(), media_type=CONTENT_TYPE_LATEST)

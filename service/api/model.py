"""``GET /model``: model metadata, execution provider and limits."""

from dataclasses import asdict

from fastapi import APIRouter, Request

from service.api.openapi import problems
from service.api.schemas import Abilities, FaceFacts, InputFacts, LimitValues, ModelFacts, Threads, ThresholdValues
from service.contract.faces.face import FINDER
from service.lifecycle.state import state_of
from service.provenance import c2pa_reader
from service.video import frames

router = APIRouter()


@router.get(
    "/model",
    operation_id="model",
    response_model=ModelFacts,
    responses=problems(503),
    summary="Model metadata, execution provider and limits",
)
async def model(request: Request) -> ModelFacts:
    """Return the metadata of the model file, how the model runs, and the limits of the service."""
    state = state_of(request)
    scorer, settings = state.loaded_scorer(), state.settings
    engine, capacity = scorer.engine, scorer.capacity
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
        thresholds=ThresholdValues(real=spec.threshold_real, fake=spec.threshold_fake),
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

"""Schemas: the bodies of answers, as OpenAPI shows them."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from service.contract.faces.face import FaceMode
from service.contract.spec import Precision
from service.contract.verdict.reasons import REASONS, Reason

Probability = Annotated[float, Field(ge=0, le=1)]
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class Probabilities(BaseModel):
    """Calibrated probabilities; they sum to 1."""

    real: Probability
    fake: Probability


class ThresholdValues(BaseModel):
    """P(fake) at or under ``real`` is called real, at or over ``fake`` is called fake."""

    real: Probability
    fake: Probability


class ImageFacts(BaseModel):
    """What was decoded: format by content, size as shown (after EXIF orientation), SHA-256 of the bytes."""

    format: Literal["JPEG", "PNG", "WEBP"]
    width: int
    height: int
    sha256: Sha256


class ModelIdentity(BaseModel):
    """Which model answered; SHA-256 of its file."""

    name: str
    version: str
    sha256: Sha256


class TimingsMs(BaseModel):
    """Milliseconds in each stage.

    `decode` is bytes to tensor without the search for faces, which is `faces` (not there where `SERVICE_FACES` is
    `off`); `queue` is the wait for a thread and for a batch, `inference` the batch's run.
    """

    decode: float
    faces: float | None = None
    queue: float
    inference: float
    total: float


class Box(BaseModel):
    """Whole pixels of the picture as shown, after EXIF orientation."""

    left: Annotated[int, Field(ge=0)]
    top: Annotated[int, Field(ge=0)]
    width: Annotated[int, Field(ge=1)]
    height: Annotated[int, Field(ge=1)]


VerdictField = Annotated[
    Literal["real", "fake", "uncertain"],
    Field(description="`uncertain` where P(fake) lies between the two thresholds, or a reason forbids a verdict."),
]
ConfidenceField = Annotated[
    Probability,
    Field(description="Calibrated probability of the class the verdict names; the larger one for `uncertain`."),
]
_REASONS = "What made the verdict uncertain, and what to know beside it. " + " ".join(
    f"`{name}`: {meaning}" for name, meaning in REASONS.items()
)


class FoundFace(BaseModel):
    """One face; a verdict on it alone where `SERVICE_FACES` is `crop`."""

    box: Box
    score: Annotated[Probability, Field(description="How sure the finder is that this is a face.")]
    verdict: VerdictField | None = None
    confidence: ConfidenceField | None = None
    probabilities: Probabilities | None = None
    reasons: Annotated[list[Reason] | None, Field(description="As the picture's, of this face alone.")] = None


class ContentCredentials(BaseModel):
    """What the file's C2PA manifest says, and whether it holds for these very bytes; only the first two without one."""

    present: Annotated[bool, Field(description="Whether the file carries a manifest.")]
    checked: Annotated[bool, Field(description="Whether it was looked into, which needs the extra `provenance`.")]
    valid: Annotated[
        bool | None, Field(description="Whether signature and hashes hold for these bytes; whoever signed, that is.")
    ] = None
    trusted: Annotated[
        bool | None, Field(description="Whether `SERVICE_TRUST_ANCHORS` vouch for the issuer; not there without them.")
    ] = None
    issuer: Annotated[str | None, Field(description="The organisation in the signer's certificate, as it says.")] = None
    signed_at: Annotated[str | None, Field(description="When, by a time stamp in the signature.")] = None
    generator: Annotated[str | None, Field(description="What wrote the manifest.")] = None
    declares_ai: Annotated[
        bool | None, Field(description="Whether the manifest, or that of an ingredient, declares AI generation.")
    ] = None
    digital_source_types: Annotated[list[str] | None, Field(description="IPTC's terms that the manifests declare.")] = (
        None
    )
    problems: Annotated[list[str] | None, Field(description="C2PA's codes of what does not hold.")] = None


class CameraFacts(BaseModel):
    """What EXIF says; anybody can write it."""

    make: str | None = None
    model: str | None = None
    lens: str | None = None
    software: str | None = None
    taken: str | None = None


class Provenance(BaseModel):
    """What the file says of where it comes from. It has no say in the verdict."""

    content_credentials: ContentCredentials
    camera: CameraFacts | None = None


class Prediction(BaseModel):
    """The answer to one picture."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "verdict": "fake",
                "confidence": 0.996,
                "probabilities": {"real": 0.004, "fake": 0.996},
                "thresholds": {"real": 0.32, "fake": 0.98},
                "faces": [{"box": {"left": 230, "top": 180, "width": 560, "height": 750}, "score": 0.93}],
                "reasons": [],
                "provenance": {"content_credentials": {"present": False, "checked": True}},
                "image": {"format": "JPEG", "width": 1024, "height": 1024, "sha256": "5f" * 32},
                "model": {"name": "efficientnet-lite", "version": "0.2.1", "sha256": "6f" * 32},
                "timings_ms": {"decode": 3.4, "faces": 2.9, "queue": 0.1, "inference": 4.0, "total": 10.6},
            }
        }
    )
    verdict: VerdictField
    confidence: ConfidenceField
    probabilities: Probabilities
    thresholds: ThresholdValues
    faces: Annotated[
        list[FoundFace] | None,
        Field(description="Faces found, largest first. Not there where `SERVICE_FACES` is `off`."),
    ] = None
    reasons: Annotated[
        list[Reason] | None,
        Field(
            description=f"{_REASONS} `face_too_small` depends on `SERVICE_MIN_FACE`; `framed_too_wide` can be avoided "
            "by `SERVICE_FACES=crop`. Not there where `SERVICE_FACES` is `off`."
        ),
    ] = None
    provenance: Annotated[
        Provenance | None, Field(description="Not there where `SERVICE_PROVENANCE` is false, or of pixels.")
    ] = None
    image: ImageFacts
    model: ModelIdentity
    timings_ms: TimingsMs


class EvidenceBox(BaseModel):
    """The part of the picture that was looked at, pixels as shown, not rounded."""

    left: float
    top: float
    width: float
    height: float


class EvidenceMap(BaseModel):
    """What each part of that box said.

    By `map` the mean of the values is the log-odds of P(fake), log(P(fake) / P(real)), so that each value is what its
    part adds; by `occlusion` each value is by how much the log-odds fall once its part is covered.
    """

    method: Literal["map", "occlusion"]
    box: EvidenceBox
    rows: Annotated[int, Field(ge=1)]
    columns: Annotated[int, Field(ge=1)]
    values: Annotated[
        list[list[float]], Field(description="Rows from the top, columns from the left; above 0 speaks for fake.")
    ]


class Explanation(Prediction):
    """The answer to one picture, and what each part of it said."""

    evidence: EvidenceMap


class Health(BaseModel):
    """The process lives, or is ready."""

    status: Literal["alive", "ready"]


class BatchResult(BaseModel):
    """What became of one part: a prediction where `status` is 200, else a problem."""

    index: Annotated[int, Field(ge=0, description="Place among the parts, from 0.")]
    filename: Annotated[str | None, Field(description="As the client named it.")] = None
    status: Annotated[int, Field(description="As `/predict` would have answered this picture alone.")]
    prediction: Prediction | None = None
    problem: "Problem | None" = None


class BatchPrediction(BaseModel):
    """The answer to several pictures, in their order."""

    results: list[BatchResult]


class InputFacts(BaseModel):
    """What every picture is brought to before the model sees it."""

    height: int
    width: int
    resize_filter: str
    resize_fit: str
    exif_policy: str
    framing: str


class FaceFacts(BaseModel):
    """What is done about faces, and by which finder; the margin is the model's."""

    mode: FaceMode
    finder: str
    margin: float | None
    min_face: int
    max_faces: int
    check_recompression: bool


class LimitValues(BaseModel):
    """What is refused."""

    max_files: int
    max_request_bytes: int
    max_video_bytes: int
    max_video_s: float
    max_video_frames: int
    max_video_pixels: int
    video_samples: int
    max_videos: int
    max_streams: int
    stream_idle_s: float
    max_bytes: int
    max_pixels: int
    min_side: int
    max_in_flight: int | None
    max_connections: int
    max_buffered_mib: int
    max_queue: int
    max_batch: int
    batch_window_ms: float
    deadline_s: float
    header_timeout_s: float
    body_timeout_s: float


class Threads(BaseModel):
    """Threads that work on pictures in one process: decoding, inside one model run, and model runs at once."""

    decode: int
    inference: int
    batches_in_flight: int


class Abilities(BaseModel):
    """What this service can do beyond pictures: whether the extras `video` and `provenance` are installed."""

    video: bool
    content_credentials: bool


class ModelFacts(BaseModel):
    """Which model is loaded, where it really runs, and within which limits."""

    name: str
    version: str
    sha256: Sha256
    classes: list[str]
    fake_class: str
    output_kind: str
    precision: Precision
    input: InputFacts
    faces: FaceFacts
    temperature: float
    thresholds: ThresholdValues
    threshold_rule: str
    dataset_fingerprint: str
    dataset_counts: dict[str, int]
    recipe: dict[str, object]
    metrics: dict[str, object]
    library_versions: dict[str, str]
    commit: str
    execution_provider: str
    threads: Threads
    abilities: Abilities
    limits: LimitValues


class Problem(BaseModel):
    """RFC 9457 problem details."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    request_id: str

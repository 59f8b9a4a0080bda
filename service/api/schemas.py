"""Response schemas, as shown in OpenAPI."""

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
    """The verdict is `real` if P(fake) is at most `real`, and `fake` if P(fake) is at least `fake`."""

    real: Probability
    fake: Probability


class ImageFacts(BaseModel):
    """The decoded picture: format by content, size as shown (after EXIF orientation), SHA-256 of the bytes sent."""

    format: Literal["JPEG", "PNG", "WEBP"]
    width: int
    height: int
    sha256: Sha256


class ModelIdentity(BaseModel):
    """The model that scored the request, with the SHA-256 of its file."""

    name: str
    version: str
    sha256: Sha256


class TimingsMs(BaseModel):
    """Milliseconds in each stage.

    `decode` is the time from bytes to tensor, without face detection. `faces` is face detection, omitted if
    `SERVICE_FACES` is `off`. `queue` is the wait for a thread and for a batch. `inference` is the run of the batch.
    """

    decode: float
    faces: float | None = None
    queue: float
    inference: float
    total: float


class Box(BaseModel):
    """A box in whole pixels of the picture as shown, after EXIF orientation."""

    left: Annotated[int, Field(ge=0)]
    top: Annotated[int, Field(ge=0)]
    width: Annotated[int, Field(ge=1)]
    height: Annotated[int, Field(ge=1)]


VerdictField = Annotated[
    Literal["real", "fake", "uncertain"],
    Field(description="`uncertain` if P(fake) lies between the two thresholds, or if a reason prevents a verdict."),
]
ConfidenceField = Annotated[
    Probability,
    Field(description="Calibrated probability of the class that the verdict names; for `uncertain`, the larger one."),
]
_REASONS = "Why the verdict is uncertain, and remarks on it. " + " ".join(
    f"`{name}`: {meaning}" for name, meaning in REASONS.items()
)


class FoundFace(BaseModel):
    """One detected face. It has a verdict of its own if `SERVICE_FACES` is `crop`."""

    box: Box
    score: Annotated[Probability, Field(description="Confidence of the face detector that this is a face.")]
    verdict: VerdictField | None = None
    confidence: ConfidenceField | None = None
    probabilities: Probabilities | None = None
    reasons: Annotated[
        list[Reason] | None, Field(description="Same as `reasons` of the picture, for this face only.")
    ] = None


class ContentCredentials(BaseModel):
    """The claims of the file's C2PA manifest, and whether they match its bytes.

    Without a manifest only `present` and `checked` are set.
    """

    present: Annotated[bool, Field(description="Whether the file carries a manifest.")]
    checked: Annotated[bool, Field(description="Whether the file was checked; requires the extra `provenance`.")]
    valid: Annotated[
        bool | None, Field(description="Whether signature and hashes match these bytes, regardless of the signer.")
    ] = None
    trusted: Annotated[
        bool | None, Field(description="Whether the issuer is trusted by `SERVICE_TRUST_ANCHORS`; omitted if not set.")
    ] = None
    issuer: Annotated[str | None, Field(description="Organisation named in the signer's certificate.")] = None
    signed_at: Annotated[str | None, Field(description="Signing time, by a time stamp in the signature.")] = None
    generator: Annotated[str | None, Field(description="Software that wrote the manifest.")] = None
    declares_ai: Annotated[
        bool | None, Field(description="Whether the manifest, or that of an ingredient, declares AI generation.")
    ] = None
    digital_source_types: Annotated[list[str] | None, Field(description="IPTC terms that the manifests declare.")] = (
        None
    )
    problems: Annotated[list[str] | None, Field(description="C2PA codes of the checks that failed.")] = None


class CameraFacts(BaseModel):
    """Camera data from EXIF, which anyone can write."""

    make: str | None = None
    model: str | None = None
    lens: str | None = None
    software: str | None = None
    taken: str | None = None


class Provenance(BaseModel):
    """The file's claims of its own origin. They do not affect the verdict."""

    content_credentials: ContentCredentials
    camera: CameraFacts | None = None


class Prediction(BaseModel):
    """The verdict on one picture."""

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
        Field(description="Detected faces, largest first. Omitted if `SERVICE_FACES` is `off`."),
    ] = None
    reasons: Annotated[
        list[Reason] | None,
        Field(
            description=f"{_REASONS} `face_too_small` depends on `SERVICE_MIN_FACE`; `framed_too_wide` can be avoided "
            "by `SERVICE_FACES=crop`. Omitted if `SERVICE_FACES` is `off`."
        ),
    ] = None
    provenance: Annotated[
        Provenance | None, Field(description="Omitted if `SERVICE_PROVENANCE` is false, and for decoded pixels.")
    ] = None
    image: ImageFacts
    model: ModelIdentity
    timings_ms: TimingsMs


class EvidenceBox(BaseModel):
    """The part of the picture that was scored, in pixels as shown, not rounded."""

    left: float
    top: float
    width: float
    height: float


class EvidenceMap(BaseModel):
    """The evidence in each cell of the box.

    For `map` the mean of the values is the log-odds of P(fake), log(P(fake) / P(real)), so each value is the
    contribution of its cell. For `occlusion` each value is the drop of the log-odds when its cell is covered.
    """

    method: Literal["map", "occlusion"]
    box: EvidenceBox
    rows: Annotated[int, Field(ge=1)]
    columns: Annotated[int, Field(ge=1)]
    values: Annotated[
        list[list[float]],
        Field(description="Rows from the top, columns from the left; a value above 0 indicates fake."),
    ]


class Explanation(Prediction):
    """The verdict on one picture, and the evidence for it."""

    evidence: EvidenceMap


class Health(BaseModel):
    """The process is alive, or ready."""

    status: Literal["alive", "ready"]


class BatchResult(BaseModel):
    """The result for one part: `prediction` if `status` is 200, otherwise `problem`."""

    index: Annotated[int, Field(ge=0, description="Position among the parts, from 0.")]
    filename: Annotated[str | None, Field(description="File name as sent by the client.")] = None
    status: Annotated[int, Field(description="Status that `/predict` would return for this picture.")]
    prediction: Prediction | None = None
    problem: "Problem | None" = None


class BatchPrediction(BaseModel):
    """The results for several pictures, in request order."""

    results: list[BatchResult]


class InputFacts(BaseModel):
    """The model input, and how pictures are converted to it."""

    height: int
    width: int
    resize_filter: str
    resize_fit: str
    exif_policy: str
    framing: str


class FaceFacts(BaseModel):
    """Face detection: mode, detector and settings. `margin` is a property of the model."""

    mode: FaceMode
    finder: str
    margin: float | None
    min_face: int
    max_faces: int
    check_recompression: bool


class LimitValues(BaseModel):
    """The limits of the service."""

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
    """Concurrency in one process: decode threads, threads of one model run, and concurrent model runs."""

    decode: int
    inference: int
    batches_in_flight: int


class Abilities(BaseModel):
    """Optional features: whether the extras `video` and `provenance` are installed."""

    video: bool
    content_credentials: bool


class ModelFacts(BaseModel):
    """The loaded model, the execution provider in use, and the limits."""

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

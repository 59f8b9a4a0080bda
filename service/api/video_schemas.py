"""Response schemas for videos, as shown in OpenAPI."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from service.api.schemas import (
    FoundFace,
    ModelIdentity,
    Probabilities,
    Probability,
    Provenance,
    Sha256,
    ThresholdValues,
    VerdictField,
)
from service.video.video_reasons import VIDEO_REASONS, VideoReason


class Interval(BaseModel):
    """95 % interval of the median P(fake) over the frames."""

    low: Probability
    high: Probability


_INTERVAL = Annotated[
    Interval | None, Field(description="Interval of P(fake) over the frames; null if fewer than 6 could be judged.")
]
_MEDIAN = Annotated[
    Probabilities | None,
    Field(
        description="Median over the frames; null if none could be judged. Calibrated on still pictures, not on "
        "medians of videos."
    ),
]
_MEDIAN_CONFIDENCE = Annotated[
    Probability | None,
    Field(description="Probability of the class that the verdict names; for `uncertain`, the larger one."),
]
_VIDEO_REASONS = Field(
    description=" ".join(f"`{name}`: {meaning}" for name, meaning in VIDEO_REASONS.items()),
)


class TrackedFace(FoundFace):
    """One face in one frame, judged independently, and the number of its track."""

    track: Annotated[int, Field(ge=0)]


class VideoFrame(BaseModel):
    """One sampled frame: its index and time in the video, and its faces, largest first."""

    frame: Annotated[int, Field(ge=0)]
    time_s: Annotated[float, Field(ge=0)]
    faces: list[TrackedFace]


class FaceTrack(BaseModel):
    """One tracked face. Its verdict is that of the median P(fake) over the frames in which it could be judged."""

    track: Annotated[int, Field(ge=0)]
    verdict: VerdictField
    confidence: _MEDIAN_CONFIDENCE
    probabilities: _MEDIAN
    interval: _INTERVAL
    reasons: Annotated[list[VideoReason], _VIDEO_REASONS]
    frames: Annotated[int, Field(ge=1, description="Number of sampled frames in which the face was detected.")]
    judged: Annotated[int, Field(ge=0, description="Number of these frames in which it could be judged.")]
    from_s: Annotated[float, Field(ge=0)]
    to_s: Annotated[float, Field(ge=0)]


class VideoFacts(BaseModel):
    """The video file: duration by frame times and as declared in the header, and how much could be read."""

    format: Literal["MP4", "MOV", "WEBM", "MKV"]
    codec: str
    width: int
    height: int
    duration_s: float
    declared_duration_s: float | None
    frames: int
    sampled: Annotated[int, Field(ge=1, description="Number of sampled frames that were scored.")]
    unreadable: Annotated[int, Field(ge=0, description="Number of sampled frames that cannot be decoded.")]
    complete: Annotated[bool, Field(description="Whether the file could be read to its declared end.")]
    sha256: Sha256


class TotalMs(BaseModel):
    """Milliseconds from the last byte of the video to its verdict."""

    total: float


class VideoPrediction(BaseModel):
    """The verdict on a video, which is that of its most likely fake face, and the results for every face and frame."""

    verdict: VerdictField
    confidence: _MEDIAN_CONFIDENCE
    probabilities: _MEDIAN
    interval: _INTERVAL
    thresholds: ThresholdValues
    reasons: Annotated[list[VideoReason], _VIDEO_REASONS]
    tracks: list[FaceTrack]
    frames: list[VideoFrame]
    provenance: Annotated[Provenance | None, Field(description="Omitted if `SERVICE_PROVENANCE` is false.")] = None
    video: VideoFacts
    model: ModelIdentity
    timings_ms: TotalMs

"""Schemas: the answer to a video, as OpenAPI shows it."""

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
    """Of P(fake), 95 %: where its median over the frames lies."""

    low: Probability
    high: Probability


_INTERVAL = Annotated[
    Interval | None, Field(description="Of P(fake) over the frames; not there where under 6 could be judged.")
]
_MEDIAN = Annotated[
    Probabilities | None,
    Field(
        description="The median over the frames; null where none could be judged. Calibrated on still pictures, not on "
        "medians of videos."
    ),
]
_MEDIAN_CONFIDENCE = Annotated[
    Probability | None, Field(description="Of the class that the verdict names; the larger one for `uncertain`.")
]
_VIDEO_REASONS = Field(
    description=" ".join(f"`{name}`: {meaning}" for name, meaning in VIDEO_REASONS.items()),
)


class TrackedFace(FoundFace):
    """One face in one frame, judged by itself, and which of the video's faces it is."""

    track: Annotated[int, Field(ge=0)]


class VideoFrame(BaseModel):
    """One frame that was looked at: its number and time in the video, and the faces in it, largest first."""

    frame: Annotated[int, Field(ge=0)]
    time_s: Annotated[float, Field(ge=0)]
    faces: list[TrackedFace]


class FaceTrack(BaseModel):
    """One face, followed: its verdict is that of the median P(fake) over the frames in which it could be judged."""

    track: Annotated[int, Field(ge=0)]
    verdict: VerdictField
    confidence: _MEDIAN_CONFIDENCE
    probabilities: _MEDIAN
    interval: _INTERVAL
    reasons: Annotated[list[VideoReason], _VIDEO_REASONS]
    frames: Annotated[int, Field(ge=1, description="Sampled frames in which it was seen.")]
    judged: Annotated[int, Field(ge=0, description="Of these, in which it could be judged.")]
    from_s: Annotated[float, Field(ge=0)]
    to_s: Annotated[float, Field(ge=0)]


class VideoFacts(BaseModel):
    """What the file is: durations by its frames' own times and as its header has it, and how much could be read."""

    format: Literal["MP4", "MOV", "WEBM", "MKV"]
    codec: str
    width: int
    height: int
    duration_s: float
    declared_duration_s: float | None
    frames: int
    sampled: Annotated[int, Field(ge=1, description="Frames that were looked at.")]
    unreadable: Annotated[int, Field(ge=0, description="Frames that should have been, and cannot be decoded.")]
    complete: Annotated[bool, Field(description="Whether the file could be read to the end that it announces.")]
    sha256: Sha256


class TotalMs(BaseModel):
    """Milliseconds from the video's last byte to its verdict."""

    total: float


class VideoPrediction(BaseModel):
    """The answer to one video: that of its most fake face, each face's, and each frame's."""

    verdict: VerdictField
    confidence: _MEDIAN_CONFIDENCE
    probabilities: _MEDIAN
    interval: _INTERVAL
    thresholds: ThresholdValues
    reasons: Annotated[list[VideoReason], _VIDEO_REASONS]
    tracks: list[FaceTrack]
    frames: list[VideoFrame]
    provenance: Annotated[Provenance | None, Field(description="Not there where `SERVICE_PROVENANCE` is false.")] = None
    video: VideoFacts
    model: ModelIdentity
    timings_ms: TotalMs

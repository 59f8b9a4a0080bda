"""Settings shared by the server and offline scoring: the model, its device, and the treatment of pictures."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from service.contract.faces.face import FaceMode
from service.contract.faces.framing import FacePolicy
from service.contract.image.image_errors import Limits
from service.limits import VideoLimits

_LIMITS = Limits()
_FACES = FacePolicy()
_PACKAGE = Path(__file__).resolve().parent


def default_model() -> Path:
    """Return the path of the default model: inside an installed wheel, or beside the package in a checkout."""
    installed = _PACKAGE / "models"
    models = installed if installed.is_dir() else _PACKAGE.parent / "models"
    return models / (models / "DEFAULT").read_text("utf-8").strip() / "model.onnx"


class ProvenanceError(Exception):
    """The file of trust anchors cannot be used; the message is one line."""


class ModelSettings(BaseSettings):
    """Settings for the model, its device, and the treatment of pictures."""

    model_config = SettingsConfigDict(
        env_prefix="SERVICE_",
        extra="forbid",
        frozen=True,
        cli_kebab_case=True,
        cli_hide_none_type=True,
        cli_avoid_json=True,
        protected_namespaces=(),
    )

    model: Annotated[Path, Field(description="Model file; default: the one included in the package.")] = Field(
        default_factory=default_model
    )
    model_sha256: Annotated[
        str | None,
        Field(pattern="^[0-9a-fA-F]{64}$", description="Required SHA-256 of the model file; default: any."),
    ] = None
    model_public_key: Annotated[
        Path | None,
        Field(
            description="Public key (PEM) that verifies the signature of the model file, NAME.sig beside it; needs the "
            "extra 'signing'. Default: no signature is required."
        ),
    ] = None
    provider: Annotated[
        Literal["auto", "cpu", "cuda"],
        Field(description="auto (CUDA if it loads, otherwise CPU), cpu, or cuda (does not start without it)."),
    ] = "auto"
    cuda_device: Annotated[int, Field(ge=0, le=1023, description="CUDA device number.")] = 0
    cuda_memory_mib: Annotated[
        int | None,
        Field(ge=64, description="Maximum device memory of ONNX Runtime's arena, MiB; default: no limit."),
    ] = None
    inference_threads: Annotated[int, Field(ge=1, le=1024, description="Threads per model run.")] = 1
    batches_in_flight: Annotated[
        int | None,
        Field(
            ge=1,
            le=1024,
            description="Concurrent model runs; default: as many as the processors allow, 2 on CUDA.",
        ),
    ] = None
    max_batch: Annotated[int, Field(ge=1, le=1024, description="Maximum pictures, or faces, in one model run.")] = 8
    max_bytes: Annotated[
        int, Field(ge=1024, le=1 << 30, description="Maximum payload size, bytes; larger ones get 413.")
    ] = _LIMITS.max_bytes
    max_pixels: Annotated[
        int, Field(ge=1024, le=1 << 30, description="Maximum pixels in a picture, by its header; more get 422.")
    ] = _LIMITS.max_pixels
    min_side: Annotated[
        int, Field(ge=1, le=4096, description="Minimum side of a picture, pixels; shorter ones get 422.")
    ] = _LIMITS.min_side
    faces: Annotated[
        FaceMode,
        Field(
            description="off: no face detection; report: faces are detected, and a picture without one is uncertain; "
            "crop: each face is judged separately."
        ),
    ] = _FACES.mode
    min_face: Annotated[
        int,
        Field(ge=1, le=4096, description="Minimum longer side of a face, pixels; smaller faces get face_too_small."),
    ] = _FACES.min_face
    max_faces: Annotated[
        int, Field(ge=1, le=256, description="Maximum faces that are reported and judged; the largest are kept.")
    ] = _FACES.max_faces
    check_recompression: Annotated[
        bool,
        Field(
            description="Also judge each picture recompressed as JPEG 75; if the verdict differs, the picture is "
            "uncertain: unstable_under_recompression."
        ),
    ] = _FACES.check_recompression
    max_video_s: Annotated[
        float,
        Field(
            gt=0,
            le=86_400,
            description="Maximum video length, seconds, by its frames' timestamps; longer ones get 422.",
        ),
    ] = 300.0
    max_video_frames: Annotated[
        int, Field(ge=1, le=10_000_000, description="Maximum frames in a video; more get 422.")
    ] = 20_000
    max_video_pixels: Annotated[
        int,
        Field(
            ge=1024,
            le=1 << 27,
            description="Maximum pixels in a video frame; more get 422.",
        ),
    ] = 4096 * 2304
    video_samples: Annotated[
        int, Field(ge=1, le=1000, description="Frames of a video that are scored, evenly spaced.")
    ] = 32
    video_deadline_s: Annotated[
        float,
        Field(gt=0, le=86_400, description="Seconds from a video's last byte to its verdict; after that 504."),
    ] = 60.0
    provenance: Annotated[
        bool,
        Field(
            description="Report what the file claims about its origin: Content Credentials (verified with the extra "
            "'provenance') and camera; it does not affect the verdict."
        ),
    ] = True
    trust_anchors: Annotated[
        Path | None,
        Field(
            description="Trusted certificates (PEM) for issuers of Content Credentials; default: none, so no issuer is "
            "trusted."
        ),
    ] = None
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"], Field(description="Minimum severity of log lines.")
    ] = "info"

    @property
    def limits(self) -> Limits:
        """Limits of the picture decoder."""
        return Limits(self.max_bytes, self.max_pixels, self.min_side)

    @property
    def face_policy(self) -> FacePolicy:
        """How faces are detected and judged."""
        return FacePolicy(self.faces, self.min_face, self.max_faces, self.check_recompression)

    def read_anchors(self) -> str | None:
        """Return the trusted certificates as PEM text, or None if none are set.

        Raises:
            ProvenanceError: the file cannot be read, or contains no certificate.
        """
        if self.trust_anchors is None:
            return None
        try:
            text = self.trust_anchors.read_text("ascii")
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "not a PEM file"
            raise ProvenanceError(f"'{self.trust_anchors}' cannot be read: {reason}") from None
        if "-----BEGIN CERTIFICATE-----" not in text:
            raise ProvenanceError(f"'{self.trust_anchors}' contains no PEM certificate")
        return text

    def video_limits(self, max_bytes: int) -> VideoLimits:
        """Return the limits on videos.

        Args:
            max_bytes: maximum file size, bytes.
        """
        return VideoLimits(
            max_bytes,
            self.max_video_s,
            self.max_video_frames,
            self.max_video_pixels,
            self.video_samples,
            self.video_deadline_s,
        )

    @field_validator("check_recompression")
    @classmethod
    def _check_faces_mode(cls, value: bool, info: ValidationInfo) -> bool:
        if value and info.data.get("faces") == "off":
            raise ValueError("needs faces 'report' or 'crop', whose answers include reasons")
        return value

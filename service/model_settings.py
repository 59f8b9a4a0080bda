"""Options: what serving and offline scoring share: which model, where it runs, and what is done with a picture."""

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
    """Return the committed default model: inside an installed wheel, or beside a checkout's package."""
    installed = _PACKAGE / "models"
    models = installed if installed.is_dir() else _PACKAGE.parent / "models"
    return models / (models / "DEFAULT").read_text("utf-8").strip() / "model.onnx"


class ProvenanceError(Exception):
    """The certificates that are to be trusted cannot be used; one line."""


class ModelSettings(BaseSettings):
    """Which model, where it runs, and what is done with a picture."""

    model_config = SettingsConfigDict(
        env_prefix="SERVICE_",
        extra="forbid",
        frozen=True,
        cli_kebab_case=True,
        cli_hide_none_type=True,
        cli_avoid_json=True,
        protected_namespaces=(),
    )

    model: Annotated[Path, Field(description="Model file; default: the one that comes with the package.")] = Field(
        default_factory=default_model
    )
    model_sha256: Annotated[
        str | None,
        Field(pattern="^[0-9a-fA-F]{64}$", description="SHA-256 that the model file must have; default: any."),
    ] = None
    model_public_key: Annotated[
        Path | None,
        Field(
            description="Public key (PEM) that must have signed the model file, whose signature lies beside it as "
            "NAME.sig; needs the extra 'signing'. Default: no signature is asked for."
        ),
    ] = None
    provider: Annotated[
        Literal["auto", "cpu", "cuda"],
        Field(description="auto (CUDA where it truly loads, else CPU), cpu, or cuda (refuses to start without it)."),
    ] = "auto"
    cuda_device: Annotated[int, Field(ge=0, le=1023, description="Number of the CUDA device.")] = 0
    cuda_memory_mib: Annotated[
        int | None,
        Field(ge=64, description="Most device memory that ONNX Runtime's arena takes, MiB; default: no limit."),
    ] = None
    inference_threads: Annotated[int, Field(ge=1, le=1024, description="Threads inside one model run.")] = 1
    batches_in_flight: Annotated[
        int | None,
        Field(
            ge=1,
            le=1024,
            description="Model runs at once; default: as many as the processors allow, 2 on CUDA.",
        ),
    ] = None
    max_batch: Annotated[
        int, Field(ge=1, le=1024, description="Most pictures, or faces, that share one model run.")
    ] = 8
    max_bytes: Annotated[
        int, Field(ge=1024, le=1 << 30, description="Longest payload, bytes; a longer one gets 413.")
    ] = _LIMITS.max_bytes
    max_pixels: Annotated[
        int, Field(ge=1024, le=1 << 30, description="Most pixels a picture may announce; more gets 422.")
    ] = _LIMITS.max_pixels
    min_side: Annotated[
        int, Field(ge=1, le=4096, description="Shortest side of a picture, pixels; a shorter one gets 422.")
    ] = _LIMITS.min_side
    faces: Annotated[
        FaceMode,
        Field(
            description="off: faces are not looked for; report: they are, and a picture without one is uncertain; "
            "crop: each face is judged by itself."
        ),
    ] = _FACES.mode
    min_face: Annotated[
        int,
        Field(
            ge=1, le=4096, description="Longer side of the smallest face that is judged, pixels; else face_too_small."
        ),
    ] = _FACES.min_face
    max_faces: Annotated[
        int, Field(ge=1, le=256, description="Most faces that are reported and judged: the largest.")
    ] = _FACES.max_faces
    check_recompression: Annotated[
        bool,
        Field(
            description="Also judge each picture saved again as JPEG 75; where the verdict differs it is uncertain: "
            "unstable_under_recompression."
        ),
    ] = _FACES.check_recompression
    max_video_s: Annotated[
        float,
        Field(gt=0, le=86_400, description="Longest video, seconds by its frames' times; a longer one gets 422."),
    ] = 300.0
    max_video_frames: Annotated[
        int, Field(ge=1, le=10_000_000, description="Most frames in a video; more get 422.")
    ] = 20_000
    max_video_pixels: Annotated[
        int,
        Field(
            ge=1024,
            le=1 << 27,
            description="Most pixels in a frame of a video; more get 422.",
        ),
    ] = 4096 * 2304
    video_samples: Annotated[
        int, Field(ge=1, le=1000, description="Frames of a video that are looked at, spread evenly.")
    ] = 32
    video_deadline_s: Annotated[
        float,
        Field(gt=0, le=86_400, description="Seconds from a video's last byte to its verdict; a later one is 504."),
    ] = 60.0
    provenance: Annotated[
        bool,
        Field(
            description="Tell what the file says of where it comes from: Content Credentials, which need the extra "
            "'provenance' to be checked, and camera; it has no say in the verdict."
        ),
    ] = True
    trust_anchors: Annotated[
        Path | None,
        Field(
            description="Certificates (PEM) trusted to name issuers of Content Credentials; default: none, so "
            "no issuer is called trusted."
        ),
    ] = None
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"], Field(description="Least severe log line that is written.")
    ] = "info"

    @property
    def limits(self) -> Limits:
        """What the decoder refuses."""
        return Limits(self.max_bytes, self.max_pixels, self.min_side)

    @property
    def face_policy(self) -> FacePolicy:
        """What is done about faces."""
        return FacePolicy(self.faces, self.min_face, self.max_faces, self.check_recompression)

    def read_anchors(self) -> str | None:
        """Return the certificates that are trusted, PEM; None where there are none.

        Raises:
            ProvenanceError: the file cannot be read, or holds no certificate.
        """
        if self.trust_anchors is None:
            return None
        try:
            text = self.trust_anchors.read_text("ascii")
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "it is not PEM"
            raise ProvenanceError(f"'{self.trust_anchors}' cannot be read: {reason}") from None
        if "-----BEGIN CERTIFICATE-----" not in text:
            raise ProvenanceError(f"'{self.trust_anchors}' holds no certificate (PEM)")
        return text

    def video_limits(self, max_bytes: int) -> VideoLimits:
        """Return which videos are read, and how far.

        Args:
            max_bytes: of a file.
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
    def _has_a_place_in_the_answer(cls, value: bool, info: ValidationInfo) -> bool:
        if value and info.data.get("faces") == "off":
            raise ValueError("needs faces 'report' or 'crop', whose answers hold reasons")
        return value

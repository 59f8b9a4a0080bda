"""Settings: every one has a ``SERVICE_…`` environment variable and a flag of the same name."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from service.contract.faces import FaceMode
from service.contract.framing import FacePolicy
from service.contract.image import Limits
from service.processors import processors

_LIMITS = Limits()
_FACES = FacePolicy()
_PACKAGE = Path(__file__).resolve().parent


def default_model() -> Path:
    """Return the committed default model: inside an installed wheel, or beside a checkout's package."""
    installed = _PACKAGE / "models"
    models = installed if installed.is_dir() else _PACKAGE.parent / "models"
    return models / (models / "DEFAULT").read_text("utf-8").strip() / "model.onnx"


class Settings(BaseSettings):
    """Serve verdicts on faces over HTTP. Each flag has an environment twin: --max-bytes is SERVICE_MAX_BYTES."""

    model_config = SettingsConfigDict(
        env_prefix="SERVICE_",
        extra="forbid",
        frozen=True,
        cli_prog_name="service",
        cli_kebab_case=True,
        cli_hide_none_type=True,
        cli_avoid_json=True,
        protected_namespaces=(),
    )

    host: Annotated[str, Field(min_length=1, description="Address to listen on.")] = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535, description="Port to listen on; 0 takes a free one.")] = 8000
    model: Annotated[Path, Field(description="Model file; default: the one that comes with the package.")] = Field(
        default_factory=default_model
    )
    provider: Annotated[
        Literal["auto", "cpu", "cuda"],
        Field(description="auto (CUDA where it truly loads, else CPU), cpu, or cuda (refuses to start without it)."),
    ] = "auto"
    inference_threads: Annotated[
        int,
        Field(ge=1, le=1024, description="Threads inside one model run; default: the processors of this process."),
    ] = Field(default_factory=processors)
    decode_threads: Annotated[
        int,
        Field(
            ge=1,
            le=1024,
            description="Pictures decoded at once (16 bytes a pixel each); default: the processors of this process.",
        ),
    ] = Field(default_factory=processors)
    max_in_flight: Annotated[
        int, Field(ge=1, le=100_000, description="Requests accepted at once; one more gets 429.")
    ] = 32
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
    body_timeout_s: Annotated[
        float, Field(gt=0, le=3600, description="Seconds for a body to arrive; a slower one gets 408.")
    ] = 10.0
    shutdown_timeout_s: Annotated[
        int, Field(ge=0, le=3600, description="Seconds that accepted requests have to finish after SIGTERM.")
    ] = 15
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

    @field_validator("check_recompression")
    @classmethod
    def _has_a_place_in_the_answer(cls, value: bool, info: ValidationInfo) -> bool:
        if value and info.data.get("faces") == "off":
            raise ValueError("needs faces 'report' or 'crop', whose answers hold reasons")
        return value


def unknown_variables(environment: Mapping[str, str]) -> list[str]:
    """Return the ``SERVICE_…`` names that set nothing: most likely misspelt."""
    known = {f"SERVICE_{name}".upper() for name in Settings.model_fields}
    return sorted(name for name in environment if name.upper().startswith("SERVICE_") and name.upper() not in known)

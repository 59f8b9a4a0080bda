"""Settings of the server; each has a ``SERVICE_…`` environment variable and a flag of the same name."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationInfo, field_validator
from pydantic_settings import SettingsConfigDict

from service.limits import Capacity
from service.model_settings import ModelSettings
from service.resources import cpu_count

# prometheus_client reads this variable when it is first imported.
METRICS_FOLDER_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"


def _default_decode_threads(data: dict[str, Any]) -> int:
    workers: int = data.get("workers", 1)
    return max(1, cpu_count() // workers)


def _default_request_bytes(data: dict[str, Any]) -> int:
    buffer_bytes, picture_bytes = data.get("max_buffered_mib", 0) * 1024 * 1024, data.get("max_bytes", 0)
    return int(max(picture_bytes, buffer_bytes // 4))


class Settings(ModelSettings):
    """Serve verdicts on faces over HTTP. Each flag has an environment variable: --max-bytes is SERVICE_MAX_BYTES."""

    model_config = SettingsConfigDict(cli_prog_name="service")

    host: Annotated[str, Field(min_length=1, description="Address to listen on.")] = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535, description="Port to listen on; 0 picks a free port.")] = 8000
    model_poll_s: Annotated[
        float | None,
        Field(
            gt=0,
            le=86_400,
            description="Seconds between checks of the model file, its signature and the API keys for changes; changes "
            "are loaded as on SIGHUP. Default: checked on SIGHUP only.",
        ),
    ] = None
    api_keys: Annotated[
        Path | None,
        Field(
            description="File of accepted API keys, one name and SHA-256 per line as 'service key' prints them; "
            "default: no key is required."
        ),
    ] = None
    workers: Annotated[
        int,
        Field(
            ge=1,
            description="Worker processes that share the port, each with its own threads, queue and model; at most one "
            "per processor available to this process.",
        ),
    ] = 1
    decode_threads: Annotated[
        int,
        Field(
            ge=1,
            le=1024,
            description="Pictures decoded at once (16 bytes per pixel each); the same thread then runs the model if a "
            "run is free. Default: the available processors, divided by the workers.",
        ),
    ] = Field(default_factory=_default_decode_threads)
    max_queue: Annotated[
        int | None,
        Field(
            ge=1,
            le=100_000,
            description="Maximum pictures waiting for a thread or a model run, per worker; more get 429. Default: 4 "
            "per processor, plus enough to fill every run where pictures share runs (CUDA, or a batch window).",
        ),
    ] = None
    max_in_flight: Annotated[
        int | None,
        Field(
            ge=1,
            le=100_000,
            description="Maximum requests in progress per worker, including those whose body is still arriving; more "
            "get 429. Default: limited only by connections, bytes and queue.",
        ),
    ] = None
    max_connections: Annotated[
        int,
        Field(
            ge=1,
            le=100_000,
            description="Maximum open connections per worker; beyond it a new connection replaces the one that has "
            "been idle, sending its headers or sending its body for longest. The default is lower where the system "
            "allows fewer open files.",
        ),
    ] = 2000
    deadline_s: Annotated[
        float,
        Field(gt=0, le=3600, description="Seconds from the arrival of a picture to its verdict; after that 504."),
    ] = 10.0
    batch_window_ms: Annotated[
        float,
        Field(
            ge=0,
            le=60_000,
            description="Milliseconds that a batch waits to fill, from its first picture on; 0: no picture is delayed, "
            "and pictures that arrive during a run share the next one.",
        ),
    ] = 0.0
    max_buffered_mib: Annotated[
        int,
        Field(
            ge=1,
            le=1 << 20,
            description="Memory for all request bodies being received, per worker, MiB; beyond it the bodies that have "
            "held the most for longest get 408.",
        ),
    ] = 256
    max_files: Annotated[
        int, Field(ge=1, le=1000, description="Maximum pictures in one request to /predict/batch or /v2.")
    ] = 64
    max_request_bytes: Annotated[
        int,
        Field(
            ge=1024,
            le=1 << 32,
            description="Maximum body of a request to /predict/batch or /v2, bytes; larger ones get 413. Default: a "
            "quarter of SERVICE_MAX_BUFFERED_MIB, at least SERVICE_MAX_BYTES.",
        ),
    ] = Field(default_factory=_default_request_bytes)
    max_video_bytes: Annotated[
        int,
        Field(
            ge=1024,
            le=1 << 32,
            description="Maximum video size, bytes; larger ones get 413. Default: a quarter of "
            "SERVICE_MAX_BUFFERED_MIB, at least SERVICE_MAX_BYTES.",
        ),
    ] = Field(default_factory=_default_request_bytes)
    max_videos: Annotated[
        int, Field(ge=1, le=1000, description="Maximum videos read at once per worker; more get 429.")
    ] = 1
    video_body_timeout_s: Annotated[
        float, Field(gt=0, le=86_400, description="Timeout for receiving a video, seconds; after that 408.")
    ] = 60.0
    max_streams: Annotated[
        int,
        Field(ge=1, le=10_000, description="Maximum camera connections (/stream) per worker; more get 429."),
    ] = 8
    stream_idle_s: Annotated[
        float, Field(gt=0, le=3600, description="Seconds without a frame after which a camera connection is closed.")
    ] = 30.0
    header_timeout_s: Annotated[
        float,
        Field(
            gt=0,
            le=3600,
            description="Timeout for receiving a request's headers, seconds; after that 408. Also for a client to "
            "accept a piece of its response; after that the connection is closed.",
        ),
    ] = 10.0
    body_timeout_s: Annotated[
        float, Field(gt=0, le=3600, description="Timeout for receiving a body, seconds; after that 408.")
    ] = 10.0
    shutdown_timeout_s: Annotated[
        int, Field(ge=0, le=3600, description="Seconds after SIGTERM for accepted requests to finish.")
    ] = 15
    metrics_dir: Annotated[
        Path | None,
        Field(
            description="Folder in which several workers create a folder for metrics, model file and hashes of API "
            "keys; default: the system's folder for temporary files."
        ),
    ] = None
    telemetry: Annotated[
        bool,
        Field(description="Send traces and metrics over OTLP to OTEL_EXPORTER_OTLP_ENDPOINT; needs the extra 'otel'."),
    ] = False
    drain_s: Annotated[
        float,
        Field(
            ge=0,
            le=3600,
            description="Minimum seconds of 503 responses after SIGTERM, so that load balancers notice the stop.",
        ),
    ] = 0.0

    def capacity(self, cuda: bool) -> Capacity:
        """Return the concurrency limits of one process.

        Args:
            cuda: whether the model runs on a CUDA device, where two batches in flight hide the copying.
        """
        cpu_runs = max(1, cpu_count() // self.workers // self.inference_threads)
        runs = self.batches_in_flight or (2 if cuda else cpu_runs)
        queued_for_runs = runs * self.max_batch if cuda or self.batch_window_ms else 0
        return Capacity(
            self.decode_threads,
            runs,
            self.max_batch,
            self.batch_window_ms / 1000,
            self.max_queue or 4 * cpu_count() + queued_for_runs,
            self.deadline_s,
        )

    @field_validator("workers")
    @classmethod
    def _check_workers(cls, value: int) -> int:
        if value > cpu_count():
            raise ValueError(f"is more than the {cpu_count()} processors available to this process")
        return value

    @field_validator("max_buffered_mib")
    @classmethod
    def _check_buffer(cls, value: int, info: ValidationInfo) -> int:
        max_bytes = info.data.get("max_bytes")
        if max_bytes is not None and value * 1024 * 1024 < max_bytes:
            raise ValueError(f"is less than the maximum picture of {max_bytes} bytes (SERVICE_MAX_BYTES)")
        return value

    @field_validator("max_request_bytes", "max_video_bytes")
    @classmethod
    def _check_body_limits(cls, value: int, info: ValidationInfo) -> int:
        mib = info.data.get("max_buffered_mib")
        if mib is not None and value > mib * 1024 * 1024:
            raise ValueError(f"is more than the buffer of {mib} MiB (SERVICE_MAX_BUFFERED_MIB)")
        return value

    @field_validator("batch_window_ms")
    @classmethod
    def _check_batch_window(cls, value: float, info: ValidationInfo) -> float:
        deadline_s = info.data.get("deadline_s")
        if deadline_s is not None and value >= deadline_s * 1000:
            raise ValueError(f"is not shorter than the deadline of {deadline_s:g} s (SERVICE_DEADLINE_S)")
        return value


def unknown_variables(environment: Mapping[str, str]) -> list[str]:
    """Return the ``SERVICE_…`` variables that are not settings, most likely misspelt."""
    known = {f"SERVICE_{name}".upper() for name in Settings.model_fields}
    return sorted(name for name in environment if name.upper().startswith("SERVICE_") and name.upper() not in known)

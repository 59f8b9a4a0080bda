"""Settings: every one has a ``SERVICE_…`` environment variable and a flag of the same name."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationInfo, field_validator
from pydantic_settings import SettingsConfigDict

from service.limits import Capacity
from service.model_settings import ModelSettings
from service.resources import cpu_count

# Read by prometheus_client itself, when it is first imported.
METRICS_FOLDER_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"


def _threads_of_a_worker(data: dict[str, Any]) -> int:
    workers: int = data.get("workers", 1)
    return max(1, cpu_count() // workers)


def _bytes_of_a_request(data: dict[str, Any]) -> int:
    buffered, one = data.get("max_buffered_mib", 0) * 1024 * 1024, data.get("max_bytes", 0)
    return int(max(one, buffered // 4))


class Settings(ModelSettings):
    """Serve verdicts on faces over HTTP. Each flag has an environment twin: --max-bytes is SERVICE_MAX_BYTES."""

    model_config = SettingsConfigDict(cli_prog_name="service")

    host: Annotated[str, Field(min_length=1, description="Address to listen on.")] = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535, description="Port to listen on; 0 takes a free one.")] = 8000
    model_poll_s: Annotated[
        float | None,
        Field(
            gt=0,
            le=86_400,
            description="Seconds between two looks at whether model file, signature or API keys have changed; what "
            "has is taken up as on SIGHUP. Default: only SIGHUP makes it look.",
        ),
    ] = None
    api_keys: Annotated[
        Path | None,
        Field(
            description="File of the API keys that are let in, a name and a SHA-256 on each line as 'service key' "
            "writes them; default: no key is asked for."
        ),
    ] = None
    workers: Annotated[
        int,
        Field(
            ge=1,
            description="Processes that share the port, each with threads, queue and model of its own; at most the "
            "processors that this one may use.",
        ),
    ] = 1
    decode_threads: Annotated[
        int,
        Field(
            ge=1,
            le=1024,
            description="Pictures decoded at once (16 bytes a pixel each), each then run by its thread where a run is "
            "free; default: the processors of this process, shared among the workers.",
        ),
    ] = Field(default_factory=_threads_of_a_worker)
    max_queue: Annotated[
        int | None,
        Field(
            ge=1,
            le=100_000,
            description="Pictures that may wait for a thread or a run, in each worker; one more gets 429. Default: 4 "
            "for each processor, and as many as fill every run where runs are shared (CUDA, or a window).",
        ),
    ] = None
    max_in_flight: Annotated[
        int | None,
        Field(
            ge=1,
            le=100_000,
            description="Requests accepted at once by each worker, those whose body is still arriving included; one "
            "more gets 429. Default: no limit beside those on connections, bytes and queue.",
        ),
    ] = None
    max_connections: Annotated[
        int,
        Field(
            ge=1,
            le=100_000,
            description="Connections that each worker holds; one more takes the place of the one that has been idle, "
            "without a whole head, or sending its body for longest. Fewer by default where the system allows fewer "
            "open files.",
        ),
    ] = 2000
    deadline_s: Annotated[
        float,
        Field(gt=0, le=3600, description="Seconds from the arrival of a picture to its verdict; a later one is 504."),
    ] = 10.0
    batch_window_ms: Annotated[
        float,
        Field(
            ge=0,
            le=60_000,
            description="Milliseconds that a batch waits, from its first picture on, to be filled; 0: no picture is "
            "delayed, and those share a run that came while another was under way.",
        ),
    ] = 0.0
    max_buffered_mib: Annotated[
        int,
        Field(
            ge=1,
            le=1 << 20,
            description="What the bodies that are arriving may hold together in each worker, MiB; beyond it those "
            "that held most for longest get 408.",
        ),
    ] = 256
    max_files: Annotated[
        int, Field(ge=1, le=1000, description="Most pictures in one request to /predict/batch or /v2.")
    ] = 64
    max_request_bytes: Annotated[
        int,
        Field(
            ge=1024,
            le=1 << 32,
            description="Longest body of a request to /predict/batch or /v2, bytes; a longer one gets 413. Default: a "
            "quarter of what may be buffered, and one picture at least.",
        ),
    ] = Field(default_factory=_bytes_of_a_request)
    max_video_bytes: Annotated[
        int,
        Field(
            ge=1024,
            le=1 << 32,
            description="Longest video, bytes; a longer one gets 413. Default: a quarter of what may be buffered, and "
            "one picture at least.",
        ),
    ] = Field(default_factory=_bytes_of_a_request)
    max_videos: Annotated[
        int, Field(ge=1, le=1000, description="Videos that each worker reads at once; one more gets 429.")
    ] = 1
    video_body_timeout_s: Annotated[
        float, Field(gt=0, le=86_400, description="Seconds for a video to arrive; a slower one gets 408.")
    ] = 60.0
    max_streams: Annotated[
        int,
        Field(ge=1, le=10_000, description="Cameras (/stream) that each worker answers at once; one more gets 429."),
    ] = 8
    stream_idle_s: Annotated[
        float, Field(gt=0, le=3600, description="Seconds without a frame after which a camera's connection is closed.")
    ] = 30.0
    header_timeout_s: Annotated[
        float,
        Field(
            gt=0,
            le=3600,
            description="Seconds for a request's headers to arrive, else 408; and for a client to take a piece of its "
            "answer, else the connection is cut.",
        ),
    ] = 10.0
    body_timeout_s: Annotated[
        float, Field(gt=0, le=3600, description="Seconds for a body to arrive; a slower one gets 408.")
    ] = 10.0
    shutdown_timeout_s: Annotated[
        int, Field(ge=0, le=3600, description="Seconds that accepted requests have to finish after SIGTERM.")
    ] = 15
    metrics_dir: Annotated[
        Path | None,
        Field(
            description="Folder in which several workers keep metrics, model file and hashes of API keys, in one of "
            "their own; default: the system's for temporary files."
        ),
    ] = None
    telemetry: Annotated[
        bool,
        Field(description="Send traces and metrics by OTLP to OTEL_EXPORTER_OTLP_ENDPOINT; needs the extra 'otel'."),
    ] = False
    drain_s: Annotated[
        float,
        Field(
            ge=0,
            le=3600,
            description="Seconds for which it answers 503 after SIGTERM at least, so that load balancers notice.",
        ),
    ] = 0.0

    def capacity(self, cuda: bool) -> Capacity:
        """Return how much one process takes on.

        Args:
            cuda: whether the model runs on a CUDA device, where two batches in flight hide the copying.
        """
        single = max(1, cpu_count() // self.workers // self.inference_threads)
        runs = self.batches_in_flight or (2 if cuda else single)
        in_runs = runs * self.max_batch if cuda or self.batch_window_ms else 0
        return Capacity(
            self.decode_threads,
            runs,
            self.max_batch,
            self.batch_window_ms / 1000,
            self.max_queue or 4 * cpu_count() + in_runs,
            self.deadline_s,
        )

    @field_validator("workers")
    @classmethod
    def _has_processors(cls, value: int) -> int:
        if value > cpu_count():
            raise ValueError(f"is more than the {cpu_count()} processors that this process may use")
        return value

    @field_validator("max_buffered_mib")
    @classmethod
    def _holds_a_picture(cls, value: int, info: ValidationInfo) -> int:
        max_bytes = info.data.get("max_bytes")
        if max_bytes is not None and value * 1024 * 1024 < max_bytes:
            raise ValueError(f"is less than one picture of {max_bytes} bytes (SERVICE_MAX_BYTES)")
        return value

    @field_validator("max_request_bytes", "max_video_bytes")
    @classmethod
    def _may_be_buffered(cls, value: int, info: ValidationInfo) -> int:
        mib = info.data.get("max_buffered_mib")
        if mib is not None and value > mib * 1024 * 1024:
            raise ValueError(f"is more than the {mib} MiB that may be buffered (SERVICE_MAX_BUFFERED_MIB)")
        return value

    @field_validator("batch_window_ms")
    @classmethod
    def _ends_before_the_deadline(cls, value: float, info: ValidationInfo) -> float:
        deadline_s = info.data.get("deadline_s")
        if deadline_s is not None and value >= deadline_s * 1000:
            raise ValueError(f"is not shorter than the deadline of {deadline_s:g} s (SERVICE_DEADLINE_S)")
        return value


def unknown_variables(environment: Mapping[str, str]) -> list[str]:
    """Return the ``SERVICE_…`` names that set nothing: most likely misspelt."""
    known = {f"SERVICE_{name}".upper() for name in Settings.model_fields}
    return sorted(name for name in environment if name.upper().startswith("SERVICE_") and name.upper() not in known)

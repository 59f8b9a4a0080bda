"""Optional OpenTelemetry: FastAPI's HTTP spans and metrics, and a span per stage."""

import importlib.util
import os
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from fastapi.telemetry import TelemetryConfig
from opentelemetry import trace

StageName = Literal["decode", "faces", "queue", "inference"]


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage of processing a picture, timed by :func:`time.perf_counter`.

    ``decode`` is bytes to picture and picture to tensors; ``faces`` is face detection; ``queue`` is the wait for a
    decode thread or a batch; ``inference`` is the run of the picture's batch.
    """

    name: StageName
    started: float
    ended: float


_tracer = trace.get_tracer("service")


class TelemetryError(Exception):
    """Telemetry is enabled but cannot start."""


def telemetry_config(enabled: bool) -> TelemetryConfig:
    """Return FastAPI's telemetry settings: export by OTLP as configured by the ``OTEL_…`` variables, or off.

    Raises:
        TelemetryError: the extra ``otel`` is not installed, or no collector address is set.
    """
    if not enabled:
        return {"tracing": False, "metrics": False, "logs": False, "operation_spans": False, "auto_configure": False}
    if importlib.util.find_spec("opentelemetry.sdk") is None:
        raise TelemetryError("needs the extra 'otel' (pip install face-authenticity[otel])")
    if not any(name.startswith("OTEL_EXPORTER_OTLP_") and name.endswith("ENDPOINT") for name in os.environ):
        raise TelemetryError("needs OTEL_EXPORTER_OTLP_ENDPOINT, the address of a collector")
    return {"operation_spans": False, "logs": False, "auto_configure": True}


def record(stages: Iterable[Stage]) -> None:
    """Add a child span for each stage to the current request's span, if it is recording."""
    if not trace.get_current_span().is_recording():
        return
    to_epoch = time.time() - time.perf_counter()
    for stage in stages:
        span = _tracer.start_span(stage.name, start_time=_nanoseconds(stage.started + to_epoch))
        span.end(_nanoseconds(stage.ended + to_epoch))


def _nanoseconds(seconds: float) -> int:
    return int(seconds * 1e9)

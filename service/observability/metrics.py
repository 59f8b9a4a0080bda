"""Prometheus metrics: one registry per app or, with several workers, one folder that all of them share."""

import os
import re
import struct
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from service.settings import METRICS_FOLDER_VARIABLE

_OUTCOMES = ("swapped", "unchanged", "refused")
STAGES = ("decode", "faces", "queue", "inference", "total")
_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_MAX_ATTEMPTS = 2
_FILE = re.compile(r"(counter|histogram|summary|gauge_[a-z]+)_(\d+)\.db")


class Metrics:
    """Metrics of the service.

    Attributes:
        requests: HTTP responses by path and status.
        refusals: refused requests by error code.
        verdicts: verdicts on pictures by name.
        reasons: reasons by name.
        faces: faces found per picture.
        stages: seconds in each of :data:`STAGES` of a prediction.
        batch_size: pictures, or faces, per batch.
        fake_probability: calibrated P(fake) of scored pictures; drift indicates different pictures or a different
            model.
        in_flight: predictions in progress.
        queue: pictures waiting for a decode thread or a batch.
        videos: verdicts on videos by name.
        streams: open camera streams.
        stream_frames: camera frames received, and those of them dropped in favour of newer ones.
        reloads: model files checked on SIGHUP or by polling, by outcome.
        model: 1 (0 for a model that was replaced), labelled with name, version and SHA-256 of the loaded model and
            its execution provider.
    """

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        self._model: Gauge | None = None
        self.requests = Counter("service_requests", "HTTP responses.", ("path", "status"), registry=registry)
        self.refusals = Counter("service_refusals", "Refused requests by error code.", ("code",), registry=registry)
        self.verdicts = Counter("service_verdicts", "Verdicts by name.", ("verdict",), registry=registry)
        self.reasons = Counter("service_reasons", "Reasons by name.", ("reason",), registry=registry)
        self.faces = Histogram(
            "service_faces", "Faces found per picture.", registry=registry, buckets=(0, 1, 2, 4, 8, 16, 32)
        )
        stages = Histogram(
            "service_stage_seconds",
            "Seconds in each stage of a prediction.",
            ("stage",),
            registry=registry,
            buckets=_BUCKETS_S,
        )
        self.stages = {stage: stages.labels(stage) for stage in STAGES}
        self.batch_size = Histogram(
            "service_batch_size",
            "Pictures, or faces, per batch.",
            registry=registry,
            buckets=(1, 2, 4, 8, 16, 32, 64),
        )
        self.fake_probability = Histogram(
            "service_fake_probability",
            "Calibrated P(fake) of scored pictures.",
            registry=registry,
            buckets=tuple(step / 20 for step in range(1, 21)),
        )
        self.in_flight = Gauge(
            "service_in_flight", "Predictions in progress.", registry=registry, multiprocess_mode="livesum"
        )
        self.queue = Gauge(
            "service_queue_length",
            "Pictures waiting for a decode thread or a batch.",
            registry=registry,
            multiprocess_mode="livesum",
        )
        self.videos = Counter("service_videos", "Verdicts on videos by name.", ("verdict",), registry=registry)
        for verdict in ("real", "fake", "uncertain"):
            self.videos.labels(verdict)
        self.streams = Gauge("service_streams", "Open camera streams.", registry=registry, multiprocess_mode="livesum")
        self.stream_frames = Counter(
            "service_stream_frames",
            "Camera frames: received, and those of them dropped in favour of newer ones.",
            ("outcome",),
            registry=registry,
        )
        for outcome in ("received", "dropped"):
            self.stream_frames.labels(outcome)
        self.reloads = Counter(
            "service_reloads",
            "Model files checked for a reload: swapped, unchanged or refused.",
            ("outcome",),
            registry=registry,
        )
        for outcome in _OUTCOMES:
            self.reloads.labels(outcome)
        self.model = Gauge(
            "service_model_info",
            "The loaded model.",
            ("name", "version", "sha256", "execution_provider"),
            registry=registry,
            multiprocess_mode="livemax",
        )

    def reserve(self) -> None:
        """Allocate disk space for this worker's metric files, if there are any.

        The files are memory-mapped: if the disk filled up later, a signal would kill the process instead of an error.

        Raises:
            OSError: there is not enough disk space.
        """
        folder = os.environ.get(METRICS_FOLDER_VARIABLE)
        if not folder or not hasattr(os, "posix_fallocate"):
            return
        for path in Path(folder).glob(f"*_{os.getpid()}.db"):
            with path.open("r+b") as file:
                os.posix_fallocate(file.fileno(), 0, path.stat().st_size)

    def set_model(self, labels: Mapping[str, str]) -> None:
        """Set the served model; the series of earlier models remain at 0."""
        if self._model is not None:
            self._model.set(0)
        self._model = self.model.labels(**labels)
        self._model.set(1)

    def render(self) -> bytes:
        """Return every series in the Prometheus text format, of all workers if there are several."""
        folder = os.environ.get(METRICS_FOLDER_VARIABLE)
        if not folder:
            return generate_latest(self._registry)
        for pid in _worker_pids(Path(folder)):
            if not _is_running(pid):
                with suppress(FileNotFoundError):  # another worker handles a scrape at the same time
                    mark_process_dead(pid, folder)  # type: ignore[no-untyped-call]
        for _ in range(_MAX_ATTEMPTS):
            # The file of a new worker may still be empty, or another worker may have just removed one.
            with suppress(OSError, struct.error):
                return _render_all_workers(folder)
        return _render_all_workers(folder)


def _render_all_workers(folder: str) -> bytes:
    registry = CollectorRegistry()
    MultiProcessCollector(registry, folder)  # type: ignore[no-untyped-call]
    return generate_latest(registry)


def _worker_pids(folder: Path) -> set[int]:
    return {int(match[2]) for path in folder.iterdir() if (match := _FILE.fullmatch(path.name))}


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # the process belongs to another user
        pass
    return True

"""State: what the routes of one application share, and who is admitted."""

from collections.abc import Iterator
from contextlib import contextmanager

from starlette.requests import Request

from service.errors import RequestError
from service.inference.engine import Engine
from service.inference.scorer import Scored, Scorer
from service.lifecycle.body_budget import Arrivals
from service.lifecycle.keys import Keys
from service.observability import telemetry
from service.observability.metrics import Metrics
from service.provenance.content_credentials import Provenance
from service.settings import Settings

# What one usually takes, seconds.
_A_VIDEO_S, _A_CAMERA_S = 2, 10


class State:
    """What the routes share: settings, metrics, and the scorer while the service is able to answer.

    Attributes:
        draining: accepted requests are finished, new ones refused.
        in_flight: predictions under way, those whose picture is still arriving included.
        arrivals: the pictures that are.
        keys: the API keys that are let in; None: everybody is.
        videos: that are being read.
        streams: cameras that are being answered.

    Raises:
        ProvenanceError: the certificates that the settings name cannot be used.
    """

    def __init__(self, settings: Settings, metrics: Metrics, keys: Keys | None = None) -> None:
        self.settings = settings
        self.metrics = metrics
        self.keys = keys
        self._provenance = Provenance(settings.read_anchors()) if settings.provenance else None
        self.scorer: Scorer | None = None
        self.draining = False
        self.in_flight = 0
        self.videos = 0
        self.streams = 0
        most = settings.max_buffered_mib * 1024 * 1024
        self.arrivals = Arrivals(most, max(most // 2, settings.max_request_bytes, settings.max_video_bytes))

    def serve(self, engine: Engine) -> None:
        """Answer with this model from now on; requests that were admitted before keep theirs."""
        settings, spec = self.settings, engine.spec
        capacity = settings.capacity(engine.on_cuda)
        self.scorer = Scorer(engine, settings.limits, settings.face_policy, capacity, self.metrics, self._provenance)
        self.metrics.set_model(
            {
                "name": spec.name,
                "version": spec.version,
                "sha256": engine.sha256,
                "execution_provider": engine.provider,
            }
        )

    def stop(self) -> None:
        """Answer no more."""
        if (scorer := self.scorer) is not None:
            self.scorer = None
            scorer.close()
        if self._provenance:
            self._provenance.close()

    def loaded_scorer(self) -> Scorer:
        """Return the scorer.

        Raises:
            RequestError: not loaded yet, or no longer.
        """
        if self.scorer is None:
            raise RequestError("not_ready", "the model is not loaded, or the service is shutting down")
        return self.scorer

    def ready_scorer(self) -> Scorer:
        """Return the scorer where new requests are taken.

        Raises:
            RequestError: not loaded, or draining.
        """
        if self.draining:
            raise RequestError("not_ready", "the service is shutting down and finishes what it has accepted")
        return self.loaded_scorer()

    def drain(self) -> None:
        """Refuse new requests from now on."""
        self.draining = True

    @contextmanager
    def permit(self, scorer: Scorer) -> Iterator[None]:
        """Admit one prediction, without waiting.

        Raises:
            RequestError: ``max_in_flight`` are under way, or the queue is full.
        """
        scorer.check_room()
        limit = self.settings.max_in_flight
        if limit is not None and self.in_flight >= limit:
            headers = {"Retry-After": str(scorer.seconds_to_room())}
            raise RequestError("overloaded", f"{self.in_flight} requests reach the limit of {limit}", headers)
        self._count(scorer, 1)
        try:
            yield
        finally:
            self._count(scorer, -1)

    def check_videos(self) -> None:
        """Refuse one more video where there is no room for it.

        Raises:
            RequestError: ``max_videos`` are under way.
        """
        if self.videos >= self.settings.max_videos:
            raise _full(f"{self.videos} videos are being read", "SERVICE_MAX_VIDEOS", _A_VIDEO_S)

    @contextmanager
    def video_permit(self) -> Iterator[None]:
        """Admit one video, without waiting.

        Raises:
            RequestError: ``max_videos`` are under way.
        """
        self.check_videos()
        self.videos += 1
        try:
            yield
        finally:
            self.videos -= 1

    @contextmanager
    def stream_permit(self) -> Iterator[None]:
        """Admit one camera, without waiting.

        Raises:
            RequestError: ``max_streams`` are being answered.
        """
        if self.streams >= self.settings.max_streams:
            raise _full(f"{self.streams} cameras are being answered", "SERVICE_MAX_STREAMS", _A_CAMERA_S)
        self.streams += 1
        self.metrics.streams.set(self.streams)
        try:
            yield
        finally:
            self.streams -= 1
            self.metrics.streams.set(self.streams)

    def _count(self, scorer: Scorer, change: int) -> None:
        self.in_flight += change
        scorer.users += change
        self.metrics.in_flight.set(self.in_flight)
        self.count_queue(scorer)

    def record(self, scored: Scored) -> None:
        """Count an answered picture, and trace its stages."""
        self.observe(scored)
        judgement, metrics = scored.judgement, self.metrics
        metrics.verdicts.labels(judgement.verdict.verdict).inc()
        metrics.fake_probability.observe(judgement.verdict.p_fake)
        metrics.faces.observe(len(judgement.faces))
        for reason in judgement.reasons:
            metrics.reasons.labels(reason).inc()

    def observe(self, scored: Scored) -> None:
        """Trace the stages alone: of what would drown the pictures that verdicts are counted of, as cameras would."""
        for stage, milliseconds in scored.timings_ms.items():
            self.metrics.stages[stage].observe(milliseconds / 1000)
        telemetry.record(scored.stages)

    def count_queue(self, scorer: Scorer) -> None:
        """Tell the metrics how many pictures wait."""
        self.metrics.queue.set(scorer.waiting)


def _full(under_way: str, setting: str, retry_after_s: int) -> RequestError:
    """Return the refusal of one more where as many are under way as a setting allows."""
    headers = {"Retry-After": str(retry_after_s)}
    return RequestError("overloaded", f"{under_way}, which is the limit ({setting})", headers)


def state_of(request: Request) -> State:
    """Return what the application of a request shares."""
    state: State = request.app.state.service
    return state

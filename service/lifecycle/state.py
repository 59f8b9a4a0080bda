"""What the endpoints of one application share, from its start-up to its shutdown."""

from contextlib import AbstractContextManager

from starlette.requests import HTTPConnection

from service.errors import RequestError
from service.inference.engine import Engine
from service.inference.scorer import Scorer
from service.lifecycle.admission import Admission, Admitted, Permits
from service.lifecycle.body_budget import BodyBudget, BodyLimits
from service.lifecycle.keys import Keys
from service.lifecycle.readiness import Readiness
from service.observability.metrics import Metrics
from service.provenance.content_credentials import Provenance
from service.settings import Settings

# How long a video is usually read, and a camera answered, seconds.
_VIDEO_S, _STREAM_S = 2, 10


class State:
    """Settings, metrics, permits, and the scorer while the service can answer.

    Args:
        settings: all of them.
        metrics: of this process.
        keys: the API keys that are accepted; None: no key is required.

    Attributes:
        admission: permits for requests.
        videos: permits for videos.
        streams: permits for cameras.
        bodies: the bytes of the request bodies under way.
        draining: accepted requests finish, and new ones are refused.
        provenance: reads what files say of their origin; None where it is off.
        scorer: answers requests; None before start-up and after shutdown.

    Raises:
        ProvenanceError: the trust anchors in the settings cannot be used.
    """

    def __init__(self, settings: Settings, metrics: Metrics, keys: Keys | None = None) -> None:
        self.settings, self.metrics, self.keys = settings, metrics, keys
        self.provenance = Provenance(settings.read_anchors()) if settings.provenance else None
        self.admission = Admission(settings.max_in_flight, metrics)
        self.videos = Permits(settings.max_videos, "videos are being read", "SERVICE_MAX_VIDEOS", _VIDEO_S)
        self.streams = Permits(
            settings.max_streams, "cameras are being answered", "SERVICE_MAX_STREAMS", _STREAM_S, metrics.streams
        )
        max_bytes = settings.max_buffered_mib * 1024 * 1024
        max_held = max(max_bytes // 2, settings.max_request_bytes, settings.max_video_bytes)
        self.bodies = BodyBudget(max_bytes, max_held)
        self.draining = False
        self.scorer: Scorer | None = None
        self._readiness: Readiness | None = None

    def serve(self, engine: Engine) -> None:
        """Answer with this model from now on; requests that are admitted already keep theirs."""
        settings, spec = self.settings, engine.spec
        self.scorer = Scorer(
            engine,
            settings.limits,
            settings.face_policy,
            settings.capacity(engine.on_cuda),
            self.metrics.batch_size.observe,
            self.provenance,
        )
        self._readiness = Readiness(self.scorer)
        self.metrics.set_model(
            {
                "name": spec.name,
                "version": spec.version,
                "sha256": engine.sha256,
                "execution_provider": engine.provider,
            }
        )

    def stop(self) -> None:
        """Stop answering."""
        if (scorer := self.scorer) is not None:
            self.scorer = self._readiness = None
            scorer.close()
        if self.provenance:
            self.provenance.close()

    def loaded_scorer(self) -> Scorer:
        """Return the scorer.

        Raises:
            RequestError: the model is not loaded.
        """
        if self.scorer is None:
            raise RequestError("not_ready", "the model is not loaded, or the service is shutting down")
        return self.scorer

    def ready_scorer(self) -> Scorer:
        """Return the scorer where new requests are accepted.

        Raises:
            RequestError: the model is not loaded, or the service is draining.
        """
        if self.draining:
            raise RequestError("not_ready", "the service is shutting down and finishes what it has accepted")
        return self.loaded_scorer()

    async def check_ready(self) -> None:
        """Refuse where the model cannot answer now.

        Raises:
            RequestError: the model is not loaded or cannot answer, or the service is draining.
        """
        self.ready_scorer()
        if self._readiness and (problem := await self._readiness.problem()):
            raise RequestError("not_ready", problem)

    def admit(self) -> AbstractContextManager[Admitted]:
        """Admit one request, as :meth:`service.lifecycle.admission.Admission.admit`.

        Raises:
            RequestError: the model is not loaded, or the service is draining.
        """
        return self.admission.admit(self.ready_scorer())

    def drain(self) -> None:
        """Refuse new requests from now on."""
        self.draining = True

    @property
    def picture_body(self) -> BodyLimits:
        """Limits of a body with one picture."""
        return BodyLimits(self.settings.max_bytes, self.settings.body_timeout_s, self.bodies)

    @property
    def request_body(self) -> BodyLimits:
        """Limits of a body with several pictures."""
        return BodyLimits(self.settings.max_request_bytes, self.settings.body_timeout_s, self.bodies)

    @property
    def video_body(self) -> BodyLimits:
        """Limits of a body with a video."""
        return BodyLimits(self.settings.max_video_bytes, self.settings.video_body_timeout_s, self.bodies)


def state_of(connection: HTTPConnection) -> State:
    """Return the state of the application that a request or WebSocket belongs to."""
    state: State = connection.app.state.service
    return state

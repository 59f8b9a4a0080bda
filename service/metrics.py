"""Prometheus series, in a registry of their own so that several apps can live in one process."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics:
    """The service's series.

    Attributes:
        registry: what ``GET /metrics`` renders.
        requests: answers by path and status.
        refusals: refused requests by error code.
        verdicts: verdicts by name.
        reasons: reasons by name.
        faces: faces found in a picture.
        stages: seconds in each stage of a prediction: decode, find (a part of decode), queue,
            inference, total.
        in_flight: predictions under way.
        model: name, version and SHA-256 of the loaded model, and its execution provider.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter("service_requests", "HTTP answers.", ("path", "status"), registry=self.registry)
        self.refusals = Counter(
            "service_refusals", "Refused requests by error code.", ("code",), registry=self.registry
        )
        self.verdicts = Counter("service_verdicts", "Verdicts by name.", ("verdict",), registry=self.registry)
        self.reasons = Counter("service_reasons", "Reasons by name.", ("reason",), registry=self.registry)
        self.faces = Histogram(
            "service_faces", "Faces found in a picture.", registry=self.registry, buckets=(0, 1, 2, 4, 8, 16, 32)
        )
        self.stages = Histogram(
            "service_stage_seconds",
            "Seconds in each stage of a prediction.",
            ("stage",),
            registry=self.registry,
            buckets=_SECONDS,
        )
        self.in_flight = Gauge("service_in_flight", "Predictions under way.", registry=self.registry)
        self.model = Info("service_model", "The loaded model.", registry=self.registry)

"""Traces: a span for the request and for each stage."""

import gzip
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from tests.conftest import REPOSITORY
from tests.serving import free_port, request, serving, until


@pytest.fixture
def collector():
    """Return the address of an OpenTelemetry collector, and the bodies that it has been sent, by path."""
    bodies: list[tuple[str, bytes]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            bodies.append((self.path, gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_) -> None:
            pass

    server = HTTPServer(("127.0.0.1", free_port()), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", bodies
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_trace_has_the_request_and_a_span_for_each_stage(collector, jpeg, tmp_path):
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    address, bodies = collector
    variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": address, "OTEL_BSP_SCHEDULE_DELAY": "100"}
    options = ("--telemetry", "true", "--log-level", "warning")
    with serving(tmp_path, REPOSITORY, *options, **variables) as (url, _):
        assert request(f"{url}/predict", jpeg)[0] == 200

        def exported() -> list:
            sent = [ExportTraceServiceRequest.FromString(body) for path, body in list(bodies) if path == "/v1/traces"]
            scopes = [scope for export in sent for group in export.resource_spans for scope in group.scope_spans]
            return [span for scope in scopes for span in scope.spans]

        # The request's own span ends after those of its stages.
        until(lambda: "POST /predict" in {span.name for span in exported()})
        spans = exported()
    (whole,) = [span for span in spans if span.name == "POST /predict"]
    stages = [span for span in spans if span.parent_span_id == whole.span_id]
    assert {span.name for span in stages} == {"queue", "decode", "faces", "inference"}
    for span in stages:
        assert span.trace_id == whole.trace_id
        assert whole.start_time_unix_nano <= span.start_time_unix_nano <= span.end_time_unix_nano
        assert span.end_time_unix_nano <= whole.end_time_unix_nano

"""Metrics: every stage, verdict and refusal is counted, and every series is documented."""

import json
import os
import re

import pytest

from service.api.schemas import Prediction
from service.observability import metrics as metrics_module
from service.observability.metrics import STAGES, Metrics
from tests.conftest import REPOSITORY

METRICS = (REPOSITORY / "docs" / "metrics.md").read_text("utf-8")
DASHBOARD = json.loads((REPOSITORY / "deploy" / "grafana-dashboard.json").read_text("utf-8"))
SERIES = sorted(metric.name for metric in Metrics()._registry.collect())


@pytest.mark.parametrize("faces", ["off", "report", "crop"])
def test_an_answer_is_what_the_api_says(make_client, make_model, make_spec, jpeg, faces):
    """The route writes it without validation, so a test validates it."""
    from service.contract.faces.face import FINDER
    from service.inference.engine import Engine
    from service.inference.engine_options import EngineOptions

    client = make_client(faces="off" if faces == "off" else "report")
    if faces == "crop":
        from fastapi.testclient import TestClient

        from service.app import create_app
        from service.settings import Settings

        engine = Engine.from_bytes(make_model(make_spec(face_margin=1.3, face_finder=FINDER)), EngineOptions("cpu", 1))
        with TestClient(create_app(Settings(faces="crop"), engine)) as client:
            answer = client.post("/predict", files={"file": jpeg}).json()
    else:
        answer = client.post("/predict", files={"file": jpeg}).json()
    parsed = Prediction.model_validate(answer, strict=True, extra="forbid")
    assert json.dumps(parsed.model_dump(exclude_none=True)) == json.dumps(answer)  # in the documented order, too
    assert ("faces" in answer["timings_ms"]) == (faces != "off")


def test_the_server_timing_header_has_the_answers_stages(client, jpeg):
    response = client.post("/predict", files={"file": jpeg})
    header = dict(field.split(";dur=") for field in response.headers["server-timing"].split(", "))
    assert {name: float(value) for name, value in header.items()} == response.json()["timings_ms"]
    assert set(header) == set(STAGES)
    stages = sum(value for name, value in response.json()["timings_ms"].items() if name != "total")
    assert 0 < stages <= response.json()["timings_ms"]["total"] + 0.01


def test_every_stage_verdict_batch_and_score_is_counted(client, jpeg):
    client.post("/predict", files={"file": jpeg})
    client.post("/predict", files={"file": b"junk"})
    text = client.get("/metrics").text
    for stage in STAGES:
        assert f'service_stage_seconds_count{{stage="{stage}"}} 1.0' in text
    assert "service_batch_size_count 1.0" in text
    assert "service_fake_probability_count 1.0" in text
    assert "service_in_flight 0.0" in text
    assert "service_queue_length 0.0" in text
    assert 'service_refusals_total{code="unsupported_format"} 1.0' in text
    assert re.search(r'service_model_info\{.*execution_provider="CPUExecutionProvider".*\} 1\.0', text)


@pytest.mark.parametrize("name", SERIES)
def test_every_series_is_documented(name):
    assert f"| `{name}" in METRICS  # counters have _total behind it


def test_the_documents_name_no_series_that_there_is_not():
    documented = {name.removesuffix("_total") for name in re.findall(r"^\| `(service_\w+)`", METRICS, re.M)}
    assert documented == set(SERIES)


def test_dashboard_uses_exactly_the_existing_series(client, jpeg):
    client.post("/predict", files={"file": jpeg})
    client.post("/predict", files={"file": b"junk"})
    served = set(re.findall(r"^(service_\w+)", client.get("/metrics").text, re.M))
    asked = set(re.findall(r"service_\w+", " ".join(t["expr"] for p in DASHBOARD["panels"] for t in p["targets"])))
    assert asked <= served
    assert [name for name in SERIES if not any(series.startswith(name) for series in asked)] == []


def test_the_dashboards_panels_do_not_overlap():
    cells: set[tuple[int, int]] = set()
    for grid in (panel["gridPos"] for panel in DASHBOARD["panels"]):
        mine = {
            (x, y) for x in range(grid["x"], grid["x"] + grid["w"]) for y in range(grid["y"], grid["y"] + grid["h"])
        }
        assert not cells & mine
        assert grid["x"] + grid["w"] <= 24
        cells |= mine
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])


def test_no_room_for_the_series_of_workers_stops_the_start(tmp_path, monkeypatch):
    """They are memory-mapped: on a full disk the worker would die by a signal."""
    monkeypatch.setenv(metrics_module.METRICS_FOLDER_VARIABLE, str(tmp_path))
    (tmp_path / f"counter_{os.getpid()}.db").write_bytes(bytes(100))

    def full(descriptor: int, start: int, length: int) -> None:
        assert length == 100
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(OSError, match="No space left"):
        Metrics().reserve()

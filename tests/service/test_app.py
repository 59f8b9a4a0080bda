"""Probes, facts, metrics, request ids and logs."""

import json
import logging
import re

import pytest
from fastapi.testclient import TestClient

from service.api.openapi import PARAMETER_CODES, TENSOR_CODES, VIDEO_CODES
from service.api.schemas import Prediction
from service.app import create_app
from service.errors import ERROR_CODES
from service.settings import Settings


def test_healthz_says_alive(client):
    assert client.get("/healthz").json() == {"status": "alive"}


def test_readyz_says_ready_once_the_service_has_started(client):
    assert client.get("/readyz").json() == {"status": "ready"}


def test_before_start_and_after_shutdown_it_lives_but_is_not_ready(tiny_engine):
    app = create_app(Settings(), tiny_engine)
    client = TestClient(app)
    assert client.get("/healthz").status_code == 200
    assert client.get("/readyz").json()["code"] == "not_ready"
    with client:
        assert client.get("/readyz").status_code == 200
    assert client.get("/readyz").status_code == 503
    assert client.post("/predict").status_code == 503


def test_model_tells_what_is_loaded_and_where_it_runs(client, tiny_engine):
    facts = client.get("/model").json()
    assert facts["sha256"] == tiny_engine.sha256
    assert facts["execution_provider"] == "CPUExecutionProvider"
    assert facts["precision"] == "float32"
    assert facts["input"] == {
        "height": 48,
        "width": 48,
        "resize_filter": "bicubic",
        "resize_fit": "crop",
        "exif_policy": "apply",
        "framing": "whole",
    }
    assert facts["faces"] == {
        "mode": "report",
        "finder": "yunet-2023mar",
        "margin": None,
        "min_face": 48,
        "max_faces": 32,
        "check_recompression": False,
    }
    assert facts["limits"]["max_pixels"] == Settings().max_pixels
    assert facts["threads"]["inference"] == 1


def test_metrics_count_answers_refusals_and_verdicts(client, astronaut, encode):
    client.post("/predict", files={"file": encode(astronaut)})
    client.post("/predict", files={"file": b"junk"})
    text = client.get("/metrics").text
    assert 'service_requests_total{path="/predict",status="200"} 1.0' in text
    assert 'service_refusals_total{code="unsupported_format"} 1.0' in text
    assert "service_verdicts_total{" in text
    assert 'service_stage_seconds_count{stage="inference"} 1.0' in text
    assert 'service_stage_seconds_count{stage="faces"} 1.0' in text
    assert 'service_faces_bucket{le="1.0"} 1.0' in text
    assert 'execution_provider="CPUExecutionProvider"' in text


def test_unknown_paths_are_one_series_so_that_scanners_cannot_fill_the_memory(client):
    for number in range(5):
        client.get(f"/scan/{number}")
    assert 'service_requests_total{path="other",status="404"} 5.0' in client.get("/metrics").text


@pytest.mark.parametrize(
    ("method", "path", "code"), [("GET", "/nope", "not_found"), ("GET", "/predict", "method_not_allowed")]
)
def test_the_frameworks_own_refusals_are_problems_too(client, method, path, code):
    response = client.request(method, path)
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["code"] == code


def test_a_request_id_is_given_back(client):
    assert client.get("/healthz", headers={"x-request-id": "abc-1"}).headers["x-request-id"] == "abc-1"


@pytest.mark.parametrize("given", ["", "two words", "x" * 65, 'quote"'])
def test_a_request_id_that_could_spoil_a_log_is_replaced(client, given):
    assert client.get("/healthz", headers={"x-request-id": given}).headers["x-request-id"] not in ("", given)


def test_one_log_line_a_request_and_no_image_content(client, astronaut, encode, caplog):
    with caplog.at_level(logging.INFO, "service"):
        client.post("/predict", files={"file": ("secret-name.jpg", encode(astronaut))})
    (record,) = [record for record in caplog.records if record.name == "service.access"]
    assert (record.method, record.path, record.status) == ("POST", "/predict", 200)
    assert record.duration_ms > 0
    assert "secret-name" not in json.dumps(record.__dict__, default=str)


def test_openapi_documents_both_bodies_and_every_code_of_predict(client):
    operation = client.get("/openapi.json").json()["paths"]["/predict"]["post"]
    assert set(operation["requestBody"]["content"]) == {"multipart/form-data", "image/*"}
    text = json.dumps(operation["responses"])
    elsewhere = {"not_found", "method_not_allowed", "unknown_model"} | TENSOR_CODES | VIDEO_CODES | PARAMETER_CODES
    assert [code for code in ERROR_CODES if code not in elsewhere and f"`{code}`" not in text] == []
    assert "malformed_tensor" not in text


def test_the_documented_example_is_an_answer_that_could_be():
    example = Prediction.model_config["json_schema_extra"]["example"]
    assert Prediction.model_validate(example).model_dump(exclude_none=True) == example


def test_docs_answer(client):
    assert client.get("/docs").status_code == 200


def test_docs_load_nothing_from_a_third_party(client):
    page = client.get("/docs").text
    sources = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert len(sources) >= 3
    for source in sources:
        assert source.startswith("/")
        assert client.get(source).status_code == 200

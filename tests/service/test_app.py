"""The application: metrics, its OpenAPI document and the pages of the framework."""

import json
import re

from service.api.openapi import PARAMETER_CODES, TENSOR_CODES, VIDEO_CODES
from service.errors import ERROR_CODES


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


def test_unknown_paths_are_counted_in_one_series(client):
    for number in range(5):
        client.get(f"/scan/{number}")
    assert 'service_requests_total{path="other",status="404"} 5.0' in client.get("/metrics").text


def test_openapi_documents_both_bodies_and_every_code_of_predict(client):
    operation = client.get("/openapi.json").json()["paths"]["/predict"]["post"]
    assert set(operation["requestBody"]["content"]) == {"multipart/form-data", "image/*"}
    text = json.dumps(operation["responses"])
    elsewhere = {"not_found", "method_not_allowed", "unknown_model"} | TENSOR_CODES | VIDEO_CODES | PARAMETER_CODES
    assert [code for code in ERROR_CODES if code not in elsewhere and f"`{code}`" not in text] == []
    assert "malformed_tensor" not in text


def test_docs_answer(client):
    assert client.get("/docs").status_code == 200


def test_docs_load_nothing_from_a_third_party(client):
    page = client.get("/docs").text
    sources = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert len(sources) >= 3
    for source in sources:
        assert source.startswith("/")
        assert client.get(source).status_code == 200

"""The request log: one line and one id per request."""

import json
import logging

import pytest


def test_a_request_id_is_given_back(client):
    assert client.get("/healthz", headers={"x-request-id": "abc-1"}).headers["x-request-id"] == "abc-1"


@pytest.mark.parametrize("request_id", ["", "two words", "x" * 65, 'quote"'])
def test_a_request_id_that_could_spoil_a_log_is_replaced(client, request_id):
    assert client.get("/healthz", headers={"x-request-id": request_id}).headers["x-request-id"] not in ("", request_id)


def test_one_log_line_a_request_and_no_image_content(client, astronaut, encode, caplog):
    with caplog.at_level(logging.INFO, "service"):
        client.post("/predict", files={"file": ("secret-name.jpg", encode(astronaut))})
    (record,) = [record for record in caplog.records if record.name == "service.access"]
    assert (record.method, record.path, record.status) == ("POST", "/predict", 200)
    assert record.duration_ms > 0
    assert "secret-name" not in json.dumps(record.__dict__, default=str)

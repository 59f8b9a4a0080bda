"""Response bodies, and the code and detail of what fails."""

import asyncio
import json
import logging

import pytest

from service.api.responses import json_response, prediction, refusal
from service.contract.image.image_errors import Corrupt
from service.errors import RequestError
from service.inference.engine import InferenceError


def test_json_response_is_compact_and_has_no_nan():
    """NaN is not JSON; clients would fail on it."""
    response = json_response({"a": [1, 2]}, {"Server-Timing": "total;dur=1"})
    assert (response.body, response.headers["content-type"]) == (b'{"a":[1,2]}', "application/json")
    assert response.headers["server-timing"] == "total;dur=1"
    with pytest.raises(ValueError, match="not JSON compliant"):
        json_response({"a": float("nan")})


@pytest.mark.parametrize(
    ("error", "code", "detail", "logged"),
    [
        (RequestError("overloaded", "3 pictures wait"), "overloaded", "3 pictures wait", None),
        (Corrupt("the JPEG is cut off"), "corrupt_image", "the JPEG is cut off", None),
        (InferenceError("device lost"), "inference_failed", "the picture is not the cause", "inference failed"),
        (ZeroDivisionError("secret"), "internal_error", "unexpected error in the service", "unexpected error"),
    ],
)
def test_refusal_logs_what_the_picture_does_not_cause(caplog, error, code, detail, logged):
    """The client learns the code; the operator the cause and the request."""
    with caplog.at_level(logging.ERROR):
        given_code, given_detail = refusal(error, request_id="r1")
    assert given_code == code
    assert detail in given_detail
    assert "secret" not in given_detail
    assert [(record.message, record.request_id) for record in caplog.records] == ([(logged, "r1")] if logged else [])


def test_prediction_is_what_predict_answers_without_times(make_client, jpeg):
    """Rows of ``service score`` hold what a client is answered."""
    client = make_client()
    scorer = client.app.state.service.scorer

    async def scene() -> dict:
        return prediction(await scorer.score(scorer.submit(jpeg)), scorer)

    answer = client.post("/predict", files={"file": jpeg}).json()
    assert answer.pop("timings_ms")
    assert json.loads(json.dumps(asyncio.run(scene()))) == answer

"""The OpenAPI document, by Schemathesis: every operation answers as it says, with pictures that reach the model."""

import base64
import io
import json
import re
from collections import Counter

import pytest
import schemathesis
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from PIL import Image
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import negative_data_rejection

from service.app import create_app
from service.settings import Settings


def picture(width: int, height: int, colour: tuple[int, int, int], file_format: str) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), colour).save(buffer, file_format)
    return buffer.getvalue()


def pictures() -> st.SearchStrategy[bytes]:
    side, shade = st.integers(32, 90), st.integers(0, 255)
    return st.builds(picture, side, side, st.tuples(shade, shade, shade), st.sampled_from(["JPEG", "PNG", "WEBP"]))


def inference(payload: bytes) -> dict:
    data = [base64.b64encode(payload).decode()]
    return {"inputs": [{"name": "image", "shape": [1], "datatype": "BYTES", "data": data}]}


BODIES = {
    "multipart/form-data": lambda payload: {"file": payload},
    "application/json": inference,
}


@pytest.fixture(scope="module")
def document(tiny_engine):
    """The document, over the service itself."""
    schemathesis.openapi.media_type("image/*", pictures())
    app = create_app(Settings(faces="off"), tiny_engine)
    with TestClient(app):  # starts and stops it
        yield schemathesis.openapi.from_asgi("/openapi.json", app)


def test_every_reference_in_the_document_resolves(make_client):
    """Clients are generated from it."""
    text = make_client(faces="off").get("/openapi.json").text
    document, references = json.loads(text), set(re.findall(r'"\$ref":"#/([^"]+)"', text))
    assert "components/schemas/InferenceRequest" in references
    assert text.count("$ref") == text.count('"$ref":"#/')
    for reference in references:
        component = document
        for name in reference.split("/"):
            component = component[name]


@pytest.mark.long
@pytest.mark.parametrize("mode", GenerationMode)
def test_every_operation_answers_as_its_document_says(document, mode):
    """By all of its checks: status codes, types, headers, schemas, refusals of what does not fit, and no 5xx."""
    answered: Counter[tuple[str, int]] = Counter()

    def exercise(operation) -> None:
        @settings(max_examples=80, suppress_health_check=list(HealthCheck), database=None)
        @given(case=operation.as_strategy(generation_mode=mode), payload=pictures())
        def run(case, payload) -> None:
            without = []
            if mode is GenerationMode.POSITIVE and case.media_type in BODIES:
                case.body = BODIES[case.media_type](payload)  # what a document cannot say: the file is a picture
                without = [negative_data_rejection]  # which takes a body that was replaced for a wrong one
            if operation.path == "/predict/batch":
                without = [
                    negative_data_rejection
                ]  # a part named file that is no picture is refused by itself, in a 200
            response = case.call_and_validate(excluded_checks=without)
            answered[operation.path, response.status_code] += 1

        run()

    paths = []
    for result in document.get_all_operations():
        paths.append(result.ok().path)
        try:
            exercise(result.ok())
        except Unsatisfiable:
            assert mode is GenerationMode.NEGATIVE  # an operation that takes nothing can be given nothing wrong
    assert {path for path in paths if not path.startswith("/v2")} == {
        "/predict",
        "/predict/batch",
        "/healthz",
        "/readyz",
        "/explain",
        "/predict/video",
        "/model",
        "/metrics",
    }
    assert {"/v2", "/v2/health/ready", "/v2/models/{name}", "/v2/models/{name}/infer"} <= set(paths)
    if mode is GenerationMode.POSITIVE:
        assert answered["/predict", 200] > 30  # it has reached the model
        assert answered["/predict/batch", 200] > 30
        assert answered["/v2/models/{name}/infer", 404] > 10
    else:
        assert answered

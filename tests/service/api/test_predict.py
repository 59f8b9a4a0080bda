"""POST /predict: one picture in, one verdict out; every refusal is a problem with its code."""

import numpy as np
import pytest
from PIL import Image

from service.errors import ERROR_CODES
from service.inference.engine import InferenceError


def refused(response, code: str) -> dict:
    """Assert that an answer is the problem of this code, and return it."""
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert problem["code"] == code
    assert (response.status_code, problem["status"]) == (ERROR_CODES[code].status,) * 2
    assert set(problem) == {"type", "title", "status", "detail", "code", "request_id"}
    assert problem["request_id"] == response.headers["x-request-id"]
    return problem


def test_multipart_and_raw_body_get_the_same_verdict(client, jpeg):
    multipart = client.post("/predict", files={"file": ("x.png", jpeg, "text/plain")}).json()
    raw = client.post("/predict", content=jpeg, headers={"content-type": "image/jpeg"}).json()
    assert multipart["probabilities"] == raw["probabilities"]


@pytest.mark.parametrize(("grey", "verdict"), [(10, "real"), (127, "uncertain"), (250, "fake")])
def test_the_verdict_follows_the_model(make_client, encode, grey, verdict):
    picture = encode(Image.new("RGB", (60, 60), (grey,) * 3), "PNG")
    assert make_client(faces="off").post("/predict", files={"file": picture}).json()["verdict"] == verdict


@pytest.mark.parametrize("file_format", ["PNG", "WEBP"])
def test_a_format_is_known_by_content_not_by_name(client, astronaut, encode, file_format):
    response = client.post("/predict", files={"file": ("face.jpg", encode(astronaut, file_format), "image/jpeg")})
    assert response.json()["image"]["format"] == file_format


def test_an_empty_part_is_refused(client):
    refused(client.post("/predict", files={"file": b""}), "empty_payload")


def test_an_empty_body_is_refused(client):
    refused(client.post("/predict", content=b"", headers={"content-type": "image/jpeg"}), "empty_payload")


def test_a_request_without_type_or_body_is_refused(client):
    refused(client.post("/predict"), "unsupported_media_type")


def test_a_wrong_field_name_is_named(client, jpeg):
    problem = refused(client.post("/predict", files={"image": jpeg}), "missing_file")
    assert "'image'" in problem["detail"]


def test_two_files_are_refused(client, jpeg):
    refused(client.post("/predict", files=[("file", jpeg), ("file", jpeg)]), "too_many_files")


def test_an_extra_field_is_refused(client, jpeg):
    refused(client.post("/predict", files={"file": jpeg}, data={"threshold": "0"}), "too_many_files")


def test_many_parts_are_refused_early(client):
    refused(client.post("/predict", files=[("file", b"x")] * 50), "too_many_files")


@pytest.mark.parametrize(
    ("content", "content_type"),
    [
        (b"no boundary here", "multipart/form-data; boundary=xyz"),
        (b"--xyz\r\nContent-Disposition: form-data; name=file\r\n\r\ndata", "multipart/form-data; boundary=xyz"),
        (b"anything", "multipart/form-data"),
        (b"anything", "multipart/form-data; boundary=" + "x" * 300),
    ],
)
def test_a_broken_multipart_body_is_refused(client, content, content_type):
    refused(client.post("/predict", content=content, headers={"content-type": content_type}), "malformed_multipart")


def test_another_media_type_is_refused_and_told_what_to_send(client, jpeg):
    response = client.post("/predict", content=jpeg, headers={"content-type": "application/json"})
    assert "image/*" in refused(response, "unsupported_media_type")["detail"]


def test_an_svg_named_jpg_is_refused(client):
    files = {"file": ("face.jpg", b"<svg xmlns='http://www.w3.org/2000/svg'/>", "image/jpeg")}
    refused(client.post("/predict", files=files), "unsupported_format")


def test_a_truncated_jpeg_is_refused_never_scored(client, jpeg):
    refused(client.post("/predict", files={"file": jpeg[: len(jpeg) // 2]}), "corrupt_image")


@pytest.mark.parametrize("how", ["multipart", "raw"])
def test_too_many_bytes_name_the_limit(make_client, jpeg, how):
    client = make_client(max_bytes=2000)
    if how == "multipart":
        response = client.post("/predict", files={"file": jpeg})
    else:
        response = client.post("/predict", content=jpeg, headers={"content-type": "image/jpeg"})
    assert "2000" in refused(response, "payload_too_large")["detail"]


def test_a_body_without_announced_length_is_counted_as_it_comes(make_client, jpeg):
    chunks = (jpeg[start : start + 500] for start in range(0, len(jpeg), 500))
    response = make_client(max_bytes=2000).post("/predict", content=chunks, headers={"content-type": "image/jpeg"})
    refused(response, "payload_too_large")


def test_picture_at_the_byte_limit_passes_as_multipart(make_client, jpeg):
    client = make_client(max_bytes=len(jpeg))
    assert client.post("/predict", files={"file": jpeg}).status_code == 200


def test_too_many_pixels_are_refused(make_client, jpeg):
    problem = refused(make_client(max_pixels=100_000).post("/predict", files={"file": jpeg}), "too_many_pixels")
    assert "262144" in problem["detail"]
    assert "100000" in problem["detail"]


def test_overload_is_refused_with_retry_after(make_client, jpeg):
    client = make_client(max_in_flight=1)
    client.app.state.service.admission.in_flight = 1
    response = client.post("/predict", files={"file": jpeg})
    refused(response, "overloaded")
    assert int(response.headers["retry-after"]) >= 1


def test_permits_come_back_after_refusals(make_client, jpeg):
    client = make_client(max_in_flight=1)
    for _ in range(3):
        client.post("/predict", files={"file": b"junk"})
    assert client.post("/predict", files={"file": jpeg}).status_code == 200
    assert client.app.state.service.admission.in_flight == 0


def test_a_failing_inference_is_500_and_the_service_stays_up(client, jpeg, tiny_engine, monkeypatch):
    good = type(tiny_engine).logits

    def fails(*_):
        raise InferenceError("device lost at 0xdead")

    monkeypatch.setattr(type(tiny_engine), "logits", fails)
    problem = refused(client.post("/predict", files={"file": jpeg}), "inference_failed")
    assert "0xdead" not in problem["detail"]
    assert client.get("/readyz").status_code == 503
    monkeypatch.setattr(type(tiny_engine), "logits", good)
    assert client.get("/readyz").status_code == 200
    assert client.post("/predict", files={"file": jpeg}).status_code == 200


def test_a_defect_is_a_clean_500_without_a_stack_trace(client, jpeg, monkeypatch):
    monkeypatch.setattr("service.inference.scorer.decode", lambda *_: 1 / 0)
    response = client.post("/predict", files={"file": jpeg})
    refused(response, "internal_error")
    assert "Traceback" not in response.text
    assert "division" not in response.text


def test_every_hostile_file_gets_an_answer_below_500(client, faces_data):
    answers = {}
    for path in sorted((faces_data / "hostile").iterdir()):
        payload = path.read_bytes()
        multipart = client.post("/predict", files={"file": (path.name, payload)})
        raw = client.post("/predict", content=payload, headers={"content-type": "image/jpeg"})
        assert multipart.status_code == raw.status_code, path.name
        answers[path.name] = multipart.status_code
    assert set(answers.values()) <= {200, 400, 413, 415, 422}, answers
    refused_names = {name for name, status in answers.items() if status != 200}
    assert {"truncated_jpeg.jpg", "bomb_900MP_1bit.png", "svg_script.svg", "trunc_last8.jpg"} <= refused_names


def test_the_tensor_reaches_the_model_as_training_made_it(client, jpeg, tiny_engine, monkeypatch, astronaut):
    """No skew: what the engine sees is the contract's tensor, bit for bit."""
    from service.contract.image.decode import decode
    from service.contract.image.image_errors import Limits
    from service.contract.image.resize import to_tensor

    seen = []
    good = type(tiny_engine).logits
    monkeypatch.setattr(type(tiny_engine), "logits", lambda self, images: seen.append(images) or good(self, images))
    client.post("/predict", files={"file": jpeg})
    spec = tiny_engine.spec
    expected = to_tensor(decode(jpeg, Limits(), spec.exif_policy), spec.preprocessing)
    assert np.array_equal(seen[0][0], expected)

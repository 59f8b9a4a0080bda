"""``/predict/batch``: an answer or a refusal for each part, and bounds on all of them together."""

import threading

import pytest
from fastapi.testclient import TestClient

from service.api.schemas import BatchPrediction
from service.app import create_app
from service.settings import Settings
from tests.conftest import FACES


def parts(*payloads: bytes, name: str = "file") -> list:
    return [(name, (f"{number}.jpg", payload, "image/jpeg")) for number, payload in enumerate(payloads)]


def timeless(prediction: dict) -> dict:
    return {name: value for name, value in prediction.items() if name != "timings_ms"}


def test_batch_parts_are_answered_as_alone_and_fail_alone(client, jpeg, astronaut, encode):
    small = encode(astronaut.resize((20, 20)))
    cut = jpeg[: len(jpeg) // 2]
    response = client.post("/predict/batch", files=parts(jpeg, b"junk", small, b"", cut, jpeg))
    assert response.status_code == 200
    answer = BatchPrediction.model_validate(response.json(), strict=True, extra="forbid")
    results = response.json()["results"]
    assert [result.status for result in answer.results] == [200, 415, 422, 400, 422, 200]
    codes = [result["problem"]["code"] for result in results if "problem" in result]
    assert codes == ["unsupported_format", "image_too_small", "empty_payload", "corrupt_image"]
    assert [(result["index"], result["filename"]) for result in results] == [(n, f"{n}.jpg") for n in range(6)]
    alone = client.post("/predict", files={"file": jpeg}).json()
    assert timeless(results[0]["prediction"]) == timeless(alone)
    assert timeless(results[5]["prediction"]) == timeless(alone)
    assert results[1]["problem"]["request_id"] == response.headers["x-request-id"]


def test_refused_part_has_the_code_of_the_picture_alone(client, jpeg):
    for payload in (b"junk", b"", jpeg[:300], b"GIF89a" + bytes(40)):
        (result,) = client.post("/predict/batch", files=parts(payload)).json()["results"]
        alone = client.post("/predict", files={"file": payload})
        without = {name: value for name, value in result["problem"].items() if name != "request_id"}
        assert result["status"] == alone.status_code
        assert without == {name: value for name, value in alone.json().items() if name != "request_id"}


def test_more_pictures_than_the_queue_holds_are_all_scored(make_client, jpeg):
    client = make_client(max_queue=1, decode_threads=1, faces="off")
    results = client.post("/predict/batch", files=parts(*[jpeg] * 20)).json()["results"]
    assert [result["status"] for result in results] == [200] * 20


def test_a_batch_leaves_room_for_others(make_client, jpeg):
    """As many of its pictures as there are threads are in the queue, so that a picture alone still gets in."""
    client = make_client(max_queue=2, decode_threads=2, faces="off", max_files=200)
    answered, statuses = threading.Event(), []

    def alone() -> None:
        while not answered.is_set():
            statuses.append(client.post("/predict", files={"file": jpeg}).status_code)

    thread = threading.Thread(target=alone)
    thread.start()
    results = client.post("/predict/batch", files=parts(*[jpeg] * 100)).json()["results"]
    answered.set()
    thread.join()
    assert {result["status"] for result in results} == {200}
    assert len(statuses) > 3
    assert set(statuses) == {200}


@pytest.mark.parametrize(
    ("files", "status", "code", "words"),
    [
        (parts(*[b"x"] * 1000), 400, "too_many_files", "more than 5 parts; send at most 5 parts (SERVICE_MAX_FILES)"),
        (parts(b"x", name="picture"), 400, "missing_file", "no part is named 'file'; parts found: 'picture'"),
        (
            [*parts(b"x"), *parts(b"x", name="more")],
            400,
            "too_many_files",
            "unexpected parts: 'more'; send at most 5 parts",
        ),
        (parts(*[bytes(300_000)] * 4), 413, "payload_too_large", "over the limit of 1048576"),
    ],
)
def test_a_batch_that_cannot_be_is_refused_whole_with_the_limit(make_client, files, status, code, words):
    response = make_client(max_files=5, max_request_bytes=1 << 20).post("/predict/batch", files=files)
    assert (response.status_code, response.json()["code"]) == (status, code)
    assert words in response.json()["detail"]


def test_a_batch_of_zero_names_what_is_missing(client):
    head = {"Content-Type": "multipart/form-data; boundary=edge"}
    response = client.post("/predict/batch", content=b"--edge--\r\n", headers=head)
    assert (response.status_code, response.json()["code"]) == (400, "missing_file")
    response = client.post("/predict/batch", content=b"\xff\xd8\xff", headers={"Content-Type": "image/jpeg"})
    assert (response.status_code, response.json()["code"]) == (415, "unsupported_media_type")


def test_a_picture_over_its_own_limit_is_refused_alone(make_client, jpeg):
    client = make_client(max_bytes=len(jpeg), max_request_bytes=10 * len(jpeg))
    results = client.post("/predict/batch", files=parts(jpeg, jpeg + b"\x00")).json()["results"]
    assert [result["status"] for result in results] == [200, 413]


def test_pictures_of_every_kind_are_answered_as_alone(tiny_engine):
    """Of all hostile files, in one request."""
    folder = FACES / "hostile"
    if not folder.is_dir():
        pytest.skip(f"needs the hostile files: '{folder}' is missing")
    payloads = [path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()]
    payloads = [payload for payload in payloads if len(payload) < 2_000_000][:60]
    with TestClient(create_app(Settings(faces="off"), tiny_engine)) as client:
        results = client.post("/predict/batch", files=parts(*payloads)).json()["results"]
        alone = [client.post("/predict", files={"file": payload}).status_code for payload in payloads]
    assert [result["status"] for result in results] == alone
    assert 200 in alone
    assert 422 in alone

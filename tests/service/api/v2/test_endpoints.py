"""``/v2``: the Open Inference Protocol, by hand; tests/clients has those who speak it for a living."""

import json
import struct

import numpy as np
import pytest

from service.api.v2.protocol import InferenceResponse, ModelMetadata, ServerMetadata
from tests.service.api.v2.inferences import INFER, LENGTH, behind, elements, in_json, tensor


def timeless(text: str) -> dict:
    return {name: value for name, value in json.loads(text).items() if name != "timings_ms"}


def test_health_and_metadata_are_the_protocols(client):
    assert client.get("/v2/health/live").json() == {"live": True}
    assert client.get("/v2/health/ready").json() == {"ready": True}
    ServerMetadata.model_validate(client.get("/v2").json(), strict=True, extra="forbid")
    for path in ("/v2/models/tiny", "/v2/models/tiny/versions/1"):
        facts = ModelMetadata.model_validate(client.get(path).json(), strict=True, extra="forbid")
        assert (facts.name, facts.versions) == ("tiny", ["1"])
        assert client.get(f"{path}/ready").json() == {"ready": True, "name": "tiny"}


@pytest.mark.parametrize("path", ["/v2/models/other", "/v2/models/tiny/versions/2", "/v2/models/other/ready"])
def test_unknown_model_is_404_with_the_protocols_error(client, path):
    response = client.get(path)
    assert (response.status_code, response.json()["code"]) == (404, "unknown_model")
    assert response.json()["error"] == response.json()["detail"]
    assert client.post(f"{path.removesuffix('/ready')}/infer", json={}).status_code == 404


def test_files_in_json_get_what_predict_answers(client, png, astronaut, encode):
    jpeg = encode(astronaut.resize((200, 200)))
    response = client.post(INFER, json=in_json(png, jpeg, id="mine"))
    answer = InferenceResponse.model_validate(response.json(), strict=True, extra="forbid")
    assert (answer.model_name, answer.model_version, answer.id) == ("tiny", "1", "mine")
    assert [(output.name, output.shape, output.datatype) for output in answer.outputs] == [
        ("verdict", [2], "BYTES"),
        ("confidence", [2], "FP64"),
        ("probabilities", [2, 2], "FP64"),
        ("prediction", [2], "BYTES"),
    ]
    data = {output.name: output.data for output in answer.outputs}
    for number, payload in enumerate((png, jpeg)):
        alone = client.post("/predict", files={"file": payload}).json()
        del alone["timings_ms"]
        assert timeless(data["prediction"][number]) == alone
        assert data["verdict"][number] == alone["verdict"]
        assert data["confidence"][number] == alone["confidence"]
        assert data["probabilities"][2 * number : 2 * number + 2] == list(alone["probabilities"].values())


@pytest.mark.parametrize("shape", [[2], [2, 1]])
def test_binary_files_in_and_binary_outputs_back(client, png, shape):
    binary = elements(png, png)
    fields = tensor("image", shape, "BYTES", binary) | {"parameters": {"binary_data_output": True}}
    response = client.post(INFER, **behind(fields, binary))
    length = int(response.headers[LENGTH])
    answer, rest = json.loads(response.content[:length]), response.content[length:]
    sizes = [output["parameters"]["binary_data_size"] for output in answer["outputs"]]
    assert sum(sizes) == len(rest)
    (first,) = struct.unpack_from("<I", rest)
    plain = client.post(INFER, json=in_json(png, outputs=[{"name": "verdict"}, {"name": "probabilities"}])).json()
    assert rest[4 : 4 + first].decode() == plain["outputs"][0]["data"][0]
    start = sum(sizes[:2])
    assert np.frombuffer(rest[start : start + 16], "<f8").tolist() == plain["outputs"][1]["data"]


@pytest.mark.parametrize("length", ["1000000", "-1", "x", "2", "0" * 5000])
def test_a_header_length_that_lies_is_400(client, length):
    response = client.post(INFER, content=json.dumps(in_json(b"x")), headers={LENGTH: length})
    assert (response.status_code, response.json()["code"]) == (400, "malformed_tensor")


def test_refused_picture_refuses_the_request_by_its_number(client, png):
    response = client.post(INFER, json=in_json(png, b"GIF89a"))
    assert (response.status_code, response.json()["code"]) == (415, "unsupported_format")
    assert response.json()["error"].startswith("element 1: ")
    response = client.post(INFER, json=in_json(png[:2000]))
    assert (response.status_code, response.json()["code"]) == (422, "corrupt_image")
    pixels = bytes(20 * 20 * 3)
    response = client.post(INFER, **behind(tensor("pixels", [1, 20, 20, 3], "UINT8", pixels), pixels))
    assert (response.status_code, response.json()["code"]) == (422, "image_too_small")


def test_json_of_too_many_values_is_refused_before_it_is_parsed(client):
    body = json.dumps(tensor("pixels", [1, 600, 600, 3], "UINT8", data=[0] * 1_080_000)).encode()
    response = client.post(INFER, content=body)
    assert response.status_code == 400
    assert "over the limit of 1000000; send pixels as binary data" in response.json()["detail"]


def test_a_compressed_body_is_refused(client):
    response = client.post(INFER, content=b"x", headers={"Content-Encoding": "gzip"})
    assert (response.status_code, response.json()["code"]) == (415, "unsupported_media_type")

"""``/v2``: the Open Inference Protocol, by hand; tests/clients has those who speak it for a living."""

import base64
import json
import struct

import numpy as np
import pytest

from service.api.v2.protocol import InferenceResponse, ModelMetadata, ServerMetadata

INFER = "/v2/models/tiny/infer"
LENGTH = "inference-header-content-length"


@pytest.fixture
def png(astronaut, encode) -> bytes:
    return encode(astronaut, "PNG")


def in_json(*payloads: bytes, **more: object) -> dict:
    data = [base64.b64encode(payload).decode() for payload in payloads]
    return {"inputs": [{"name": "image", "shape": [len(data)], "datatype": "BYTES", "data": data}], **more}


def behind(fields: dict, binary: bytes) -> dict:
    text = json.dumps(fields).encode()
    return {"content": text + binary, "headers": {LENGTH: str(len(text))}}


def elements(*payloads: bytes) -> bytes:
    return b"".join(struct.pack("<I", len(payload)) + payload for payload in payloads)


def tensor(name: str, shape: list, datatype: str, binary: bytes | None = None, **more: object) -> dict:
    parameters = {} if binary is None else {"binary_data_size": len(binary)}
    return {"inputs": [{"name": name, "shape": shape, "datatype": datatype, "parameters": parameters, **more}]}


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
def test_another_model_is_404_and_its_error_is_named_as_the_protocol_does(client, path):
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


def test_decoded_pixels_get_the_answer_of_their_png(client, png, astronaut):
    pixels = np.asarray(astronaut)[None]
    fields = tensor("pixels", list(pixels.shape), "UINT8", pixels.tobytes()) | {"outputs": [{"name": "prediction"}]}
    found = client.post(INFER, **behind(fields, pixels.tobytes())).json()["outputs"][0]["data"][0]
    alone = client.post("/predict", files={"file": png}).json()
    for name in ("verdict", "confidence", "probabilities", "faces", "reasons"):
        assert json.loads(found)[name] == alone[name]
    assert json.loads(found)["image"]["format"] == "RAW"


@pytest.mark.parametrize("nested", [True, False])
def test_decoded_pixels_may_be_json(client, astronaut, nested):
    pixels = np.asarray(astronaut.resize((40, 36)))[None]
    data = pixels.tolist() if nested else pixels.ravel().tolist()
    fields = tensor("pixels", [1, 36, 40, 3], "UINT8", data=data)
    fields["inputs"][0]["parameters"] = {}
    response = client.post(INFER, json=fields | {"outputs": [{"name": "verdict", "parameters": {"binary_data": True}}]})
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/octet-stream"


ONE = base64.b64encode(b"\xff\xd8\xff").decode()


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "inputs: Field required"),
        ({"inputs": []}, "inputs: List should have at least 1 item"),
        (tensor("picture", [1], "BYTES", data=[ONE]), "unknown input 'picture'; valid inputs are 'image' and 'pixels'"),
        (tensor("image", [1], "FP32", data=[1.0]), "input 'image' has datatype 'FP32', not 'BYTES'"),
        (tensor("pixels", [1, 8, 8, 3], "FP32", data=[1.0]), "input 'pixels' has datatype 'FP32', not 'UINT8'"),
        (tensor("image", [], "BYTES", data=[ONE]), "has shape [], not [-1]"),
        (tensor("image", [1, 2], "BYTES", data=[ONE]), "has shape [1, 2], not [-1]"),
        (tensor("image", [0], "BYTES", data=[]), "has 0 pictures; send 1 to 64 (SERVICE_MAX_FILES)"),
        (tensor("image", [1000], "BYTES", data=[ONE] * 1000), "has 1000 pictures; send 1 to 64 (SERVICE_MAX_FILES)"),
        (tensor("image", [-1], "BYTES", data=[ONE]), "inputs.0.shape.0: Input should be greater than or equal to 0"),
        (tensor("image", [2], "BYTES", data=[ONE]), "has shape [2] but contains 1 elements"),
        (tensor("image", [1], "BYTES", data=["no base64!"]), "element 0 of input 'image' is not valid base64"),
        (tensor("image", [1], "BYTES", data=[7]), "element 0 of input 'image' is not valid base64"),
        (tensor("image", [1], "BYTES"), "must have exactly one of data and binary_data_size"),
        (tensor("image", [1], "BYTES", b"x", data=[ONE]), "binary_data_size is 1, but 0 bytes follow the JSON"),
        (tensor("pixels", [1, 8, 8, 4], "UINT8", data=[0] * 256), "has shape [1, 8, 8, 4], not [-1, -1, -1, 3]"),
        (tensor("pixels", [8, 8, 3], "UINT8", data=[0] * 192), "has shape [8, 8, 3], not [-1, -1, -1, 3]"),
        (tensor("pixels", [1, 8, 8, 3], "UINT8", data=[0] * 191), "(192 values) but contains 191 values"),
        (tensor("pixels", [1, 1, 1, 3], "UINT8", data=[0, 1, 256]), "integers from 0 to 255"),
        (tensor("pixels", [1, 1, 1, 3], "UINT8", data=[0, 1, -1]), "integers from 0 to 255"),
        (tensor("pixels", [1, 1, 1, 3], "UINT8", data=[0, 1, 0.5]), "integers from 0 to 255"),
        (tensor("pixels", [1, 1, 1, 3], "UINT8", data=[0, "1", 2]), "integers from 0 to 255"),
        (tensor("pixels", [1, 1, 1, 3], "UINT8", data=[10**30, 1, 2]), "integers from 0 to 255"),
        (
            in_json(b"\xff\xd8\xff", outputs=[{"name": "logits"}]),
            "unknown output 'logits'; valid outputs are verdict, conf",
        ),
        (
            in_json(b"\xff\xd8\xff", outputs=[{"name": "verdict", "parameters": {"classification": 2}}]),
            "output 'verdict': classification is not supported",
        ),
    ],
)
def test_a_tensor_that_the_model_does_not_take_is_400_with_what_is_wrong(client, fields, words):
    response = client.post(INFER, json=fields)
    assert (response.status_code, response.json()["code"]) == (400, "malformed_tensor")
    assert words in response.json()["error"]


@pytest.mark.parametrize("body", [b"", b"junk", b"[" * 100_000, b"\xff\xfe", b'{"inputs": "x"}', b"[" * 2_000_000])
def test_a_body_that_is_no_request_is_400(client, body):
    response = client.post(INFER, content=body)
    assert (response.status_code, response.json()["code"]) == (400, "malformed_tensor")


@pytest.mark.parametrize("length", ["1000000", "-1", "x", "2", "0" * 5000])
def test_a_header_length_that_lies_is_400(client, length):
    response = client.post(INFER, content=json.dumps(in_json(b"x")), headers={LENGTH: length})
    assert (response.status_code, response.json()["code"]) == (400, "malformed_tensor")


@pytest.mark.parametrize("cut", [1, 3, 4, 100])
def test_elements_that_end_early_are_400(client, png, cut):
    binary = elements(png)[:-cut] if cut > 4 else elements(png) + bytes(cut)
    response = client.post(INFER, **behind(tensor("image", [1], "BYTES", binary), binary))
    assert (response.status_code, response.json()["code"]) == (400, "malformed_tensor")


def test_a_picture_that_is_refused_refuses_the_request_and_is_numbered(client, png):
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


def test_what_is_wrong_is_told_without_looking_at_all_of_it(client):
    """An array of these strings would take 1.5 GB, and their repr seconds."""
    import tracemalloc

    strings = tensor("pixels", [1, 160, 160, 3], "UINT8", data=["a" * 5000, *[""] * 75_000])
    for body in (json.dumps(strings).encode(), b"\xff" * 8_000_000, b'{"inputs": "' + b"x" * 8_000_000 + b'"}'):
        tracemalloc.start()
        response = client.post(INFER, content=body)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert (response.status_code, response.json()["code"]) == (400, "malformed_tensor")
        assert len(response.content) < 1000
        assert peak < 8 * len(body) + 30_000_000


def test_more_elements_than_the_shape_says_are_not_even_counted(client):
    binary = bytes(4_000_000)
    response = client.post(INFER, **behind(tensor("image", [2], "BYTES", binary), binary))
    assert response.json()["detail"] == "input 'image' has shape [2] but contains more elements"

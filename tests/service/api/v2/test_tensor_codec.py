"""Tensors of pictures: files and pixels, in JSON and as binary data."""

import base64
import json

import numpy as np
import pytest

from tests.service.api.v2.inferences import INFER, behind, elements, in_json, tensor


def test_decoded_pixels_get_the_answer_of_their_png(client, png, astronaut):
    pixels = np.asarray(astronaut)[None]
    fields = tensor("pixels", list(pixels.shape), "UINT8", pixels.tobytes()) | {"outputs": [{"name": "prediction"}]}
    prediction = client.post(INFER, **behind(fields, pixels.tobytes())).json()["outputs"][0]["data"][0]
    alone = client.post("/predict", files={"file": png}).json()
    for name in ("verdict", "confidence", "probabilities", "faces", "reasons"):
        assert json.loads(prediction)[name] == alone[name]
    assert json.loads(prediction)["image"]["format"] == "RAW"


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
def test_wrong_tensor_is_400_and_names_what_is_wrong(client, fields, words):
    response = client.post(INFER, json=fields)
    assert (response.status_code, response.json()["code"]) == (400, "malformed_tensor")
    assert words in response.json()["error"]


@pytest.mark.parametrize("cut", [1, 3, 4, 100])
def test_elements_that_end_early_are_400(client, png, cut):
    binary = elements(png)[:-cut] if cut > 4 else elements(png) + bytes(cut)
    response = client.post(INFER, **behind(tensor("image", [1], "BYTES", binary), binary))
    assert (response.status_code, response.json()["code"]) == (400, "malformed_tensor")


def test_more_elements_than_the_shape_says_are_not_even_counted(client):
    binary = bytes(4_000_000)
    response = client.post(INFER, **behind(tensor("image", [2], "BYTES", binary), binary))
    assert response.json()["detail"] == "input 'image' has shape [2] but contains more elements"

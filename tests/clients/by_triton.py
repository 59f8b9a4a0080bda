"""Run by an interpreter that has tritonclient and nothing of this project: ``by_triton.py HOST:PORT MODEL PICTURE``.

Prints what it was told, as JSON.
"""

import json
import sys
from pathlib import Path

import numpy as np
import tritonclient.http as triton
from PIL import Image
from tritonclient.utils import InferenceServerException


def main(address: str, name: str, path: str) -> None:
    client = triton.InferenceServerClient(address)
    told = {
        "live": client.is_server_live(),
        "ready": client.is_server_ready(),
        "model_ready": client.is_model_ready(name),
        "other_ready": client.is_model_ready("other"),
        "server": client.get_server_metadata(),
        "model": client.get_model_metadata(name),
    }
    payload = Path(path).read_bytes()
    files = triton.InferInput("image", [2, 1], "BYTES")
    files.set_data_from_numpy(np.array([[payload], [payload]], object))
    result = client.infer(name, [files], request_id="of two")
    told["id"] = result.get_response()["id"]
    told["verdicts"] = [verdict.decode() for verdict in result.as_numpy("verdict")]
    told["probabilities"] = result.as_numpy("probabilities").tolist()
    told["predictions"] = [json.loads(text) for text in result.as_numpy("prediction")]

    decoded = np.asarray(Image.open(path).convert("RGB"))[None]
    pixels = triton.InferInput("pixels", list(decoded.shape), "UINT8")
    outputs = [triton.InferRequestedOutput("verdict", binary_data=False), triton.InferRequestedOutput("probabilities")]
    for binary in (True, False):
        if not binary:
            small = np.ascontiguousarray(decoded[:, ::4, ::4])
            pixels = triton.InferInput("pixels", list(small.shape), "UINT8")
        pixels.set_data_from_numpy(decoded if binary else small, binary_data=binary)
        result = client.infer(name, [pixels], outputs=outputs)
        told[f"pixels_{binary}"] = [result.as_numpy("verdict").tolist(), result.as_numpy("probabilities").tolist()]

    wrong = triton.InferInput("pixels", [1, 8, 8, 3], "FP32")
    wrong.set_data_from_numpy(np.zeros((1, 8, 8, 3), np.float32))
    try:
        client.infer(name, [wrong])
    except InferenceServerException as error:
        told["wrong"] = [error.status(), error.message()]
    print(json.dumps(told))


main(*sys.argv[1:])

"""Run by an interpreter that has kserve and nothing of this project: ``by_kserve.py URL MODEL PICTURE``.

Prints what it was told, as JSON.
"""

import asyncio
import base64
import json
import sys
from pathlib import Path

import numpy as np
from kserve import InferenceRESTClient, InferInput, InferRequest, RESTConfig


async def main(url: str, name: str, path: str) -> None:
    client = InferenceRESTClient(RESTConfig(protocol="v2", retries=1, timeout=600))
    told = {
        "live": await client.is_server_live(url),
        "ready": await client.is_server_ready(url),
        "model_ready": await client.is_model_ready(url, name),
    }
    payload = Path(path).read_bytes()
    for binary in (True, False):
        files = InferInput("image", [1], "BYTES")
        element = payload if binary else base64.b64encode(payload)
        files.set_data_from_numpy(np.array([element], object), binary_data=binary)
        request = InferRequest(name, [files], request_id="mine", parameters={"binary_data_output": binary})
        result = await client.infer(url, request, model_name=name)
        outputs = {output.name: output.as_numpy() for output in result.outputs}
        told[f"binary_{binary}"] = {
            "id": result.id,
            "verdict": _text(outputs["verdict"][0]),
            "probabilities": outputs["probabilities"].tolist(),
            "prediction": json.loads(outputs["prediction"][0]),
        }
    print(json.dumps(told))


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value


asyncio.run(main(*sys.argv[1:]))

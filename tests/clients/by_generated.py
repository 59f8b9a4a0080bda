"""Run beside a client that was generated from the OpenAPI document: ``by_generated.py URL PICTURE [KEY]``.

Prints what it was told, as JSON.
"""

import base64
import json
import sys
from io import BytesIO
from pathlib import Path

from face_authenticity_client import AuthenticatedClient, Client
from face_authenticity_client.api.default import model, predict, predict_batch, readyz, v2_infer
from face_authenticity_client.models import InferenceRequest, PredictBatchBody, PredictFilesBody, Problem
from face_authenticity_client.types import File


def main(url: str, path: str, key: str = "") -> None:
    client = AuthenticatedClient(url, key) if key else Client(url)
    payload = Path(path).read_bytes()
    picture, junk = File(BytesIO(payload), "face.png", "image/png"), File(BytesIO(b"junk"), "junk.png", "image/png")
    told: dict[str, object] = {"ready": readyz.sync(client=client).status.value}
    prediction = predict.sync(client=client, body=PredictFilesBody(file=picture))
    told["prediction"] = prediction.to_dict()
    refused = predict.sync(client=client, body=PredictFilesBody(file=junk))
    assert isinstance(refused, Problem)
    told["refused"] = refused.code
    picture.payload.seek(0)
    junk.payload.seek(0)
    results = predict_batch.sync(client=client, body=PredictBatchBody(file=[picture, junk])).results
    told["batch"] = [result.status for result in results]
    facts = model.sync(client=client)
    data = [base64.b64encode(payload).decode()]
    asked = InferenceRequest.from_dict(
        {
            "inputs": [{"name": "image", "shape": [1], "datatype": "BYTES", "data": data}],
            "outputs": [{"name": "verdict"}],
        }
    )
    told["v2"] = v2_infer.sync(facts.name, client=client, body=asked).outputs[0].data
    print(json.dumps(told))


main(*sys.argv[1:])

"""Inference requests, made by hand."""

import base64
import json
import struct

INFER = "/v2/models/tiny/infer"


LENGTH = "inference-header-content-length"


def in_json(*payloads: bytes, **fields: object) -> dict:
    data = [base64.b64encode(payload).decode() for payload in payloads]
    return {"inputs": [{"name": "image", "shape": [len(data)], "datatype": "BYTES", "data": data}], **fields}


def behind(fields: dict, binary: bytes) -> dict:
    text = json.dumps(fields).encode()
    return {"content": text + binary, "headers": {LENGTH: str(len(text))}}


def elements(*payloads: bytes) -> bytes:
    return b"".join(struct.pack("<I", len(payload)) + payload for payload in payloads)


def tensor(name: str, shape: list, datatype: str, binary: bytes | None = None, **fields: object) -> dict:
    parameters = {} if binary is None else {"binary_data_size": len(binary)}
    return {"inputs": [{"name": name, "shape": shape, "datatype": datatype, "parameters": parameters, **fields}]}

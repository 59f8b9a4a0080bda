"""Conversion of input tensors to pictures, and of predictions to output tensors.

Binary data follow the JSON, in the order of the tensors (Triton's binary tensor data extension). An element of BYTES
is its length, uint32, little-endian, followed by its bytes.
"""

import base64
import binascii
import itertools
import json
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from service.api.v2.protocol import Input, TensorFacts
from service.errors import RequestError
from service.inference.job import Payload

FILES: Final = TensorFacts(name="image", datatype="BYTES", shape=[-1])
PIXELS: Final = TensorFacts(name="pixels", datatype="UINT8", shape=[-1, -1, -1, 3])
OUTPUTS: Final = {
    "verdict": TensorFacts(name="verdict", datatype="BYTES", shape=[-1]),
    "confidence": TensorFacts(name="confidence", datatype="FP64", shape=[-1]),
    # P(real), P(fake)
    "probabilities": TensorFacts(name="probabilities", datatype="FP64", shape=[-1, 2]),
    # The complete response of /predict, as JSON.
    "prediction": TensorFacts(name="prediction", datatype="BYTES", shape=[-1]),
}
_INPUTS: Final = {FILES.name: FILES, PIXELS.name: PIXELS}


def malformed(detail: str) -> RequestError:
    """Return the error for a malformed tensor or request."""
    return RequestError("malformed_tensor", detail)


def pictures(tensor: Input, binary: bytes, max_pictures: int) -> list[Payload]:
    """Return the pictures in a tensor: files' bytes, or uint8 ``[H, W, 3]`` RGB.

    Args:
        tensor: the tensor as described in the JSON.
        binary: the bytes after the JSON; all of them belong to this tensor.
        max_pictures: maximum number of pictures.

    Raises:
        RequestError: the model has no such input, or the data do not match the description.
    """
    expected = _INPUTS.get(tensor.name)
    if expected is None:
        raise malformed(f"unknown input {tensor.name!r}; valid inputs are {' and '.join(map(repr, _INPUTS))}")
    if tensor.datatype != expected.datatype:
        raise malformed(f"input {tensor.name!r} has datatype {tensor.datatype!r}, not {expected.datatype!r}")
    if "shared_memory_region" in tensor.parameters:
        raise malformed(f"input {tensor.name!r}: shared memory is not supported; send the data in the request")
    count = _picture_count(tensor, expected, max_pictures)
    size = tensor.parameters.get("binary_data_size")
    if size is None and binary:
        raise malformed(f"{len(binary)} bytes follow the JSON, but input {tensor.name!r} has no binary_data_size")
    if size is not None and (type(size) is not int or size != len(binary)):
        raise malformed(
            f"input {tensor.name!r}: binary_data_size is {size!r:.40}, but {len(binary)} bytes follow the JSON"
        )
    if (size is None) == (tensor.data is None):
        raise malformed(f"input {tensor.name!r} must have exactly one of data and binary_data_size")
    if expected is FILES:
        elements = _split_elements(binary) if tensor.data is None else _decode_base64(_flattened(tensor.data))
        files = list(itertools.islice(elements, count + 1))
        if len(files) != count:
            content = f"{len(files)} elements" if len(files) < count else "more elements"
            raise malformed(f"input {tensor.name!r} has shape {tensor.shape} but contains {content}")
        return list(files)
    return list(_pixels(tensor, binary))


def _picture_count(tensor: Input, expected: TensorFacts, max_pictures: int) -> int:
    """Return the number of pictures by the shape; files may also be ``[N, 1]``, the shape of a Triton batch."""
    shape = tensor.shape
    fits = len(shape) == 4 and shape[3] == 3 if expected is PIXELS else shape[1:] in ([], [1]) and bool(shape)
    if not fits:
        raise malformed(f"input {tensor.name!r} has shape {shape}, not {expected.shape} (-1: any size)")
    if not 1 <= shape[0] <= max_pictures:
        raise malformed(f"input {tensor.name!r} has {shape[0]} pictures; send 1 to {max_pictures} (SERVICE_MAX_FILES)")
    return shape[0]


def _flattened(data: Sequence[Any]) -> Iterator[Any]:
    for item in data:
        if isinstance(item, list):
            yield from _flattened(item)
        else:
            yield item


def _decode_base64(elements: Iterator[Any]) -> Iterator[bytes]:
    for number, element in enumerate(elements):
        try:
            yield base64.b64decode(element, validate=True)
        except (binascii.Error, ValueError, TypeError):
            raise malformed(
                f"element {number} of input 'image' is not valid base64; send files in JSON as base64"
            ) from None


def _split_elements(binary: bytes) -> Iterator[bytes]:
    offset = 0
    while offset < len(binary):
        (length,) = struct.unpack_from("<I", binary, offset) if offset + 4 <= len(binary) else (1 << 32,)
        start, offset = offset + 4, offset + 4 + length
        if offset > len(binary):
            raise malformed(
                f"input 'image': an element of {length} bytes extends beyond the {len(binary)} bytes of data"
            )
        yield binary[start:offset]


def _pixels(tensor: Input, binary: bytes) -> NDArray[np.uint8]:
    if tensor.data is None:
        flat = np.frombuffer(binary, np.uint8)
    else:
        # One value at a time: an array of arbitrary JSON values may be far larger than the JSON.
        flat = np.fromiter(map(_pixel_value, _flattened(tensor.data)), np.uint8)
    expected = int(np.prod([float(size) for size in tensor.shape]))
    if flat.size != expected:
        raise malformed(f"input 'pixels' has shape {tensor.shape} ({expected} values) but contains {flat.size} values")
    return flat.reshape(tensor.shape)


def _pixel_value(value: Any) -> int:
    if type(value) is not int or not 0 <= value <= 255:
        raise malformed("input 'pixels' must contain integers from 0 to 255")
    return value


@dataclass(frozen=True, slots=True)
class EncodedOutput:
    """One output: its JSON fields, and the bytes that follow the JSON if it is binary."""

    fields: dict[str, Any]
    binary: bytes


def encode_output(name: str, predictions: Sequence[dict[str, Any]], binary: bool) -> EncodedOutput:
    """Encode one output tensor.

    Args:
        name: a key of :data:`OUTPUTS`.
        predictions: responses as returned by ``/predict``.
        binary: whether the output is sent as binary data after the JSON.
    """
    values = [_output_value(name, prediction) for prediction in predictions]
    facts = OUTPUTS[name]
    fields: dict[str, Any] = {"name": name, "shape": [len(values), *facts.shape[1:]], "datatype": facts.datatype}
    if not binary:
        flat = [number for pair in values for number in pair] if name == "probabilities" else values
        return EncodedOutput(fields | {"data": flat}, b"")
    if facts.datatype == "BYTES":
        raw = b"".join(struct.pack("<I", len(text.encode())) + text.encode() for text in values)
    else:
        raw = np.array(values, "<f8").tobytes()
    return EncodedOutput(fields | {"parameters": {"binary_data_size": len(raw)}}, raw)


def _output_value(name: str, prediction: dict[str, Any]) -> Any:
    if name == "prediction":
        return json.dumps(prediction, separators=(",", ":"), allow_nan=False)
    if name == "probabilities":
        return [prediction["probabilities"]["real"], prediction["probabilities"]["fake"]]
    return prediction[name]

"""Tensors: the inputs of an inference request to pictures, and verdicts to its outputs.

Binary data stand behind the JSON, in the order of the tensors (Triton's binary tensor data extension); an element of
BYTES is its length, uint32, little-endian, and as many bytes.
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
    # All of the answer that /predict would give, as JSON.
    "prediction": TensorFacts(name="prediction", datatype="BYTES", shape=[-1]),
}
_INPUTS: Final = {FILES.name: FILES, PIXELS.name: PIXELS}


def malformed(detail: str) -> RequestError:
    """Return the refusal of a tensor, or of the request that holds it."""
    return RequestError("malformed_tensor", detail)


def pictures(tensor: Input, binary: bytes, most: int) -> list[Payload]:
    """Return the pictures in a tensor: files' bytes, or uint8 ``[H, W, 3]`` RGB.

    Args:
        tensor: as the JSON describes it.
        binary: what stood behind the JSON; all of it is this tensor's.
        most: pictures.

    Raises:
        RequestError: it is not what the model takes, or says other than it holds.
    """
    expected = _INPUTS.get(tensor.name)
    if expected is None:
        raise malformed(f"there is no input {tensor.name!r}, only {' and '.join(map(repr, _INPUTS))}")
    if tensor.datatype != expected.datatype:
        raise malformed(f"input {tensor.name!r} has datatype {tensor.datatype!r}, not {expected.datatype!r}")
    if "shared_memory_region" in tensor.parameters:
        raise malformed(f"input {tensor.name!r}: shared memory is not read here; send the data")
    count = _count(tensor, expected, most)
    size = tensor.parameters.get("binary_data_size")
    if size is None and binary:
        raise malformed(f"{len(binary)} bytes stand behind the JSON, and input {tensor.name!r} has no binary_data_size")
    if size is not None and (type(size) is not int or size != len(binary)):
        raise malformed(f"input {tensor.name!r}: binary_data_size is {size!r:.40}, and {len(binary)} bytes are there")
    if (size is None) == (tensor.data is None):
        raise malformed(f"input {tensor.name!r} has to have either data or binary_data_size")
    if expected is FILES:
        found = _elements(binary) if tensor.data is None else _decoded(_flat(tensor.data))
        files = list(itertools.islice(found, count + 1))
        if len(files) != count:
            holds = f"{len(files)} elements" if len(files) < count else "more elements"
            raise malformed(f"input {tensor.name!r} has shape {tensor.shape} and {holds}")
        return list(files)
    return list(_pixels(tensor, binary))


def _count(tensor: Input, expected: TensorFacts, most: int) -> int:
    """Return how many pictures the shape announces; files may be ``[N, 1]`` too, as Triton's batches are."""
    shape = tensor.shape
    fits = len(shape) == 4 and shape[3] == 3 if expected is PIXELS else shape[1:] in ([], [1]) and bool(shape)
    if not fits:
        raise malformed(f"input {tensor.name!r} has shape {shape}, not {expected.shape} (-1: any)")
    if not 1 <= shape[0] <= most:
        raise malformed(f"input {tensor.name!r} has {shape[0]} pictures, not 1 to {most} (SERVICE_MAX_FILES)")
    return shape[0]


def _flat(data: Sequence[Any]) -> Iterator[Any]:
    for item in data:
        if isinstance(item, list):
            yield from _flat(item)
        else:
            yield item


def _decoded(elements: Iterator[Any]) -> Iterator[bytes]:
    for number, element in enumerate(elements):
        try:
            yield base64.b64decode(element, validate=True)
        except (binascii.Error, ValueError, TypeError):
            raise malformed(f"element {number} of input 'image' is not base64, as files in JSON have to be") from None


def _elements(binary: bytes) -> Iterator[bytes]:
    place = 0
    while place < len(binary):
        (length,) = struct.unpack_from("<I", binary, place) if place + 4 <= len(binary) else (1 << 32,)
        start, place = place + 4, place + 4 + length
        if place > len(binary):
            raise malformed(f"input 'image': an element of {length} bytes ends behind the {len(binary)} that are there")
        yield binary[start:place]


def _pixels(tensor: Input, binary: bytes) -> NDArray[np.uint8]:
    if tensor.data is None:
        flat = np.frombuffer(binary, np.uint8)
    else:
        # One by one: an array of whatever the JSON holds may be far larger than the JSON.
        flat = np.fromiter(map(_number, _flat(tensor.data)), np.uint8)
    expected = int(np.prod([float(size) for size in tensor.shape]))
    if flat.size != expected:
        raise malformed(
            f"input 'pixels' has shape {tensor.shape}, which is {expected} numbers, and {flat.size} of them"
        )
    return flat.reshape(tensor.shape)


def _number(value: Any) -> int:
    if type(value) is not int or not 0 <= value <= 255:
        raise malformed("input 'pixels' has to hold whole numbers from 0 to 255")
    return value


@dataclass(frozen=True, slots=True)
class Encoded:
    """One output: its JSON, and the bytes that stand behind it, if it is binary."""

    fields: dict[str, Any]
    binary: bytes


def encoded(name: str, predictions: Sequence[dict[str, Any]], binary: bool) -> Encoded:
    """Return one output of some predictions.

    Args:
        name: one of :data:`OUTPUTS`.
        predictions: as ``/predict`` answers.
        binary: whether it is to stand behind the JSON.
    """
    values = [_value(name, prediction) for prediction in predictions]
    facts = OUTPUTS[name]
    fields: dict[str, Any] = {"name": name, "shape": [len(values), *facts.shape[1:]], "datatype": facts.datatype}
    if not binary:
        flat = [number for pair in values for number in pair] if name == "probabilities" else values
        return Encoded(fields | {"data": flat}, b"")
    if facts.datatype == "BYTES":
        raw = b"".join(struct.pack("<I", len(text.encode())) + text.encode() for text in values)
    else:
        raw = np.array(values, "<f8").tobytes()
    return Encoded(fields | {"parameters": {"binary_data_size": len(raw)}}, raw)


def _value(name: str, prediction: dict[str, Any]) -> Any:
    if name == "prediction":
        return json.dumps(prediction, separators=(",", ":"), allow_nan=False)
    if name == "probabilities":
        return [prediction["probabilities"]["real"], prediction["probabilities"]["fake"]]
    return prediction[name]

"""Read model files as untrusted data, and reject those that are more than a network with weights.

A model file may be hostile. These ONNX features are rejected before ONNX Runtime loads the file: weights in other files
(they would be read from the working directory), control flow (endless loops), functions, operators that make large
tensors from small ones, and shapes that depend on pixels (a warm-up would not expose their cost).
"""

import hashlib
from pathlib import Path
from typing import Any, Final

from google.protobuf.message import DecodeError

from service.contract.bounded_read import NotRegularFile, read_bounded
from service.contract.image.image_errors import TooManyBytes
from service.contract.protobuf import message_classes
from service.contract.text import one_line

MAX_BYTES: Final = 512 * 1024 * 1024
_MAX_NODES: Final = 2000
_MAX_METADATA_BYTES: Final = 1 << 20
_MAX_MESSAGE_CHARACTERS: Final = 300
# Operators of this project's recipes and of common image classifiers.
_OPERATORS: Final = frozenset((
    "Add", "AveragePool", "BatchNormalization", "Cast", "Clip", "Concat", "Conv", "DequantizeLinear", "Div",
    "Elu", "Erf", "Exp", "Flatten", "Gather", "Gelu", "Gemm", "GlobalAveragePool", "GlobalMaxPool",
    "HardSigmoid", "HardSwish", "Identity", "LayerNormalization", "LeakyRelu", "MatMul", "Max", "MaxPool",
    "Min", "Mul", "Neg", "PRelu", "Pad", "Pow", "QuantizeLinear", "Reciprocal", "ReduceMax", "ReduceMean",
    "ReduceSum", "Relu", "Reshape", "Selu", "Shape", "Sigmoid", "Slice", "Softmax", "Softplus", "Split", "Sqrt",
    "Squeeze", "Sub", "Tanh", "Transpose", "Unsqueeze",
))  # fmt: skip
# Indices of inputs that determine the size of an output.
_SHAPE_INPUTS: Final = {
    "Reshape": (1,), "Slice": (1, 2, 3, 4), "ReduceMean": (1,), "ReduceMax": (1,), "ReduceSum": (1,), "Pad": (1, 3),
    "Split": (1,), "Squeeze": (1,), "Unsqueeze": (1,),
}  # fmt: skip
# With only weights as input, these would be computed while the session is built, which nothing can interrupt.
_EXPENSIVE_OPERATORS: Final = ("Conv", "Gemm", "MatMul", "AveragePool", "MaxPool", "GlobalAveragePool", "GlobalMaxPool")
# float32, uint8, int8, int32, int64, float16
_WEIGHT_TYPES: Final = (1, 2, 3, 6, 7, 10)
_SINGLE, _REPEATED = False, True
_FIELDS: Final = (
    ("Model", "graph", 7, "Graph", _SINGLE),
    ("Model", "metadata", 14, "Entry", _REPEATED),
    ("Model", "training", 20, "bytes", _REPEATED),
    ("Model", "functions", 25, "bytes", _REPEATED),
    ("Model", "configuration", 26, "bytes", _REPEATED),
    ("Entry", "key", 1, "bytes", _SINGLE),
    ("Entry", "value", 2, "bytes", _SINGLE),
    ("Graph", "node", 1, "Node", _REPEATED),
    ("Graph", "initializer", 5, "Weight", _REPEATED),
    ("Graph", "input", 11, "Value", _REPEATED),
    ("Graph", "output", 12, "Value", _REPEATED),
    ("Graph", "sparse", 15, "bytes", _REPEATED),
    ("Value", "name", 1, "bytes", _SINGLE),
    ("Node", "input", 1, "bytes", _REPEATED),
    ("Node", "output", 2, "bytes", _REPEATED),
    ("Node", "operator", 4, "bytes", _SINGLE),
    ("Node", "attribute", 5, "Attribute", _REPEATED),
    ("Node", "domain", 7, "bytes", _SINGLE),
    ("Attribute", "name", 1, "bytes", _SINGLE),
    ("Attribute", "tensor", 5, "bytes", _SINGLE),
    ("Attribute", "graph", 6, "bytes", _SINGLE),
    ("Attribute", "tensors", 10, "bytes", _REPEATED),
    ("Attribute", "graphs", 11, "bytes", _REPEATED),
    ("Attribute", "type", 14, "bytes", _SINGLE),
    ("Attribute", "types", 15, "bytes", _REPEATED),
    ("Attribute", "reference", 21, "bytes", _SINGLE),
    ("Attribute", "sparse", 22, "bytes", _SINGLE),
    ("Attribute", "sparses", 23, "bytes", _REPEATED),
    ("Weight", "type", 2, "int", _SINGLE),
    ("Weight", "segment", 3, "bytes", _SINGLE),
    ("Weight", "name", 8, "bytes", _SINGLE),
    ("Weight", "elsewhere", 13, "bytes", _REPEATED),
    ("Weight", "location", 14, "int", _SINGLE),
)
_NON_NUMERIC_FIELDS: Final = tuple(
    (name, repeated) for message, name, _, _, repeated in _FIELDS if message == "Attribute" and name != "name"
)
_CLASSES: Final = message_classes("model", _FIELDS)


class ModelFileError(Exception):
    """The model file is missing, corrupt, hostile, or contradicts its metadata; the message is always one line."""

    def __init__(self, message: str) -> None:
        line = one_line(message)
        super().__init__(line if len(line) <= _MAX_MESSAGE_CHARACTERS else line[:_MAX_MESSAGE_CHARACTERS] + " …")


def read(path: Path) -> bytes:
    """Return the bytes of a model file.

    Raises:
        ModelFileError: the file is missing, not a regular file, or over 512 MiB.
    """
    try:
        return read_bounded(path, MAX_BYTES)
    except NotRegularFile:
        raise ModelFileError(f"model file '{path}' is not a regular file") from None
    except TooManyBytes as error:
        raise ModelFileError(f"model file '{path}': {error}") from None
    except OSError as error:
        raise ModelFileError(f"model file '{path}' cannot be read: {error.strerror}") from None


def check_digest(content: bytes, expected: str) -> None:
    """Check a model file against its expected SHA-256, hexadecimal.

    Raises:
        ModelFileError: the file has another SHA-256.
    """
    digest = hashlib.sha256(content).hexdigest()
    if digest != expected.lower():
        raise ModelFileError(f"SHA-256 is {digest}, expected {expected.lower()}")


def check(content: bytes) -> None:
    """Reject an ONNX file that is more than a network with weights; does not check that the network works.

    Raises:
        ModelFileError: the file is rejected.
    """
    try:
        model = _CLASSES["Model"].FromString(content)
    except DecodeError:
        raise ModelFileError(f"not a loadable ONNX model ({len(content)} bytes)") from None
    if model.functions or model.training or model.configuration:
        raise ModelFileError("the model has functions, training information or a device configuration")
    _check_metadata(model.metadata)
    _check_weights(model.graph)
    _check_nodes(model.graph)


def _check_metadata(entries: Any) -> None:
    total, seen = 0, set()
    for entry in entries:
        total += len(entry.key) + len(entry.value)
        if total > _MAX_METADATA_BYTES:
            raise ModelFileError(f"the metadata is over the limit of {_MAX_METADATA_BYTES} bytes")
        if entry.key in seen:
            raise ModelFileError(f"model metadata '{_text(entry.key)}': the key occurs twice")
        seen.add(entry.key)
        try:
            entry.key.decode(), entry.value.decode()
        except UnicodeDecodeError:
            raise ModelFileError(f"model metadata '{_text(entry.key)}': is not UTF-8") from None


def _check_weights(graph: Any) -> None:
    if graph.sparse:
        raise ModelFileError("the graph has sparse weights")
    seen = {value.name for value in graph.input}
    for weight in graph.initializer:
        name = _text(weight.name)
        if weight.location or weight.elsewhere:
            raise ModelFileError(f"weight '{name}' is stored in another file")
        if weight.HasField("segment") or weight.type not in _WEIGHT_TYPES:
            raise ModelFileError(f"weight '{name}' is segmented or has an unsupported data type ({weight.type})")
        if weight.name in seen:
            raise ModelFileError(f"weight '{name}' is defined twice or is also an input")
        seen.add(weight.name)


def _check_nodes(graph: Any) -> None:
    if len(graph.node) > _MAX_NODES:
        raise ModelFileError(f"the graph has {len(graph.node)} operators, over the limit of {_MAX_NODES}")
    # Tensors that do not depend on pixels: weights, shapes, and anything computed only from those.
    fixed = {weight.name for weight in graph.initializer}
    for node in graph.node:
        operator, domain = _text(node.operator), _text(node.domain)
        if domain not in ("", "ai.onnx") or operator not in _OPERATORS:
            raise ModelFileError(f"operator '{operator}'{f' of domain {domain}' if domain else ''} is not supported")
        for attribute in node.attribute:
            if any(
                getattr(attribute, name) if repeated else attribute.HasField(name)
                for name, repeated in _NON_NUMERIC_FIELDS
            ):
                raise ModelFileError(
                    f"attribute '{_text(attribute.name)}' of operator '{operator}' holds more than numbers"
                )
        weights_only = bool(node.input) and all(name in fixed for name in node.input if name)
        if weights_only and operator in _EXPENSIVE_OPERATORS:
            raise ModelFileError(f"operator '{operator}' has only weights as input, no pixels")
        if operator == "Shape" or weights_only:
            fixed.update(node.output)
        for position in _SHAPE_INPUTS.get(operator, ()):
            if position < len(node.input) and node.input[position] and node.input[position] not in fixed:
                raise ModelFileError(f"operator '{operator}' has a size that depends on pixels")


def _text(name: bytes) -> str:
    return name[:60].decode("utf-8", "replace")

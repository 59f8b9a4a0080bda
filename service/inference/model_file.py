"""Model files: read as data, and refused where they would be more than a network with weights.

A model file may come from a stranger. What ONNX can also say is refused before ONNX Runtime sees it: weights in other
files (it would read them from the working directory), control flow (a loop without end), functions, operators that
make large tensors out of small ones, and shapes that depend on pixels (then a warm-up would show nothing).
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
_MOST_NODES: Final = 2000
_MOST_TEXT: Final = 1 << 20
_LONGEST_MESSAGE: Final = 300
# Everything that recipes of this project make, and what other image classifiers are usually made of.
_OPERATORS: Final = frozenset((
    "Add", "AveragePool", "BatchNormalization", "Cast", "Clip", "Concat", "Conv", "DequantizeLinear", "Div",
    "Elu", "Erf", "Exp", "Flatten", "Gather", "Gelu", "Gemm", "GlobalAveragePool", "GlobalMaxPool",
    "HardSigmoid", "HardSwish", "Identity", "LayerNormalization", "LeakyRelu", "MatMul", "Max", "MaxPool",
    "Min", "Mul", "Neg", "PRelu", "Pad", "Pow", "QuantizeLinear", "Reciprocal", "ReduceMax", "ReduceMean",
    "ReduceSum", "Relu", "Reshape", "Selu", "Shape", "Sigmoid", "Slice", "Softmax", "Softplus", "Split", "Sqrt",
    "Squeeze", "Sub", "Tanh", "Transpose", "Unsqueeze",
))  # fmt: skip
# Inputs that say how large an output is.
_SHAPING: Final = {
    "Reshape": (1,), "Slice": (1, 2, 3, 4), "ReduceMean": (1,), "ReduceMax": (1,), "ReduceSum": (1,), "Pad": (1, 3),
    "Split": (1,), "Squeeze": (1,), "Unsqueeze": (1,),
}  # fmt: skip
# Of weights alone, their result would be computed while the session is built, where nothing can stop it.
_HEAVY: Final = ("Conv", "Gemm", "MatMul", "AveragePool", "MaxPool", "GlobalAveragePool", "GlobalMaxPool")
# float32, uint8, int8, int32, int64, float16
_WEIGHT_TYPES: Final = (1, 2, 3, 6, 7, 10)
_ONE, _MANY = False, True
_FIELDS: Final = (
    ("Model", "graph", 7, "Graph", _ONE),
    ("Model", "metadata", 14, "Entry", _MANY),
    ("Model", "training", 20, "bytes", _MANY),
    ("Model", "functions", 25, "bytes", _MANY),
    ("Model", "configuration", 26, "bytes", _MANY),
    ("Entry", "key", 1, "bytes", _ONE),
    ("Entry", "value", 2, "bytes", _ONE),
    ("Graph", "node", 1, "Node", _MANY),
    ("Graph", "initializer", 5, "Weight", _MANY),
    ("Graph", "input", 11, "Value", _MANY),
    ("Graph", "output", 12, "Value", _MANY),
    ("Graph", "sparse", 15, "bytes", _MANY),
    ("Value", "name", 1, "bytes", _ONE),
    ("Node", "input", 1, "bytes", _MANY),
    ("Node", "output", 2, "bytes", _MANY),
    ("Node", "operator", 4, "bytes", _ONE),
    ("Node", "attribute", 5, "Attribute", _MANY),
    ("Node", "domain", 7, "bytes", _ONE),
    ("Attribute", "name", 1, "bytes", _ONE),
    ("Attribute", "tensor", 5, "bytes", _ONE),
    ("Attribute", "graph", 6, "bytes", _ONE),
    ("Attribute", "tensors", 10, "bytes", _MANY),
    ("Attribute", "graphs", 11, "bytes", _MANY),
    ("Attribute", "type", 14, "bytes", _ONE),
    ("Attribute", "types", 15, "bytes", _MANY),
    ("Attribute", "reference", 21, "bytes", _ONE),
    ("Attribute", "sparse", 22, "bytes", _ONE),
    ("Attribute", "sparses", 23, "bytes", _MANY),
    ("Weight", "type", 2, "int", _ONE),
    ("Weight", "segment", 3, "bytes", _ONE),
    ("Weight", "name", 8, "bytes", _ONE),
    ("Weight", "elsewhere", 13, "bytes", _MANY),
    ("Weight", "location", 14, "int", _ONE),
)
_NUMBERS_ONLY: Final = tuple(
    (name, many) for message, name, _, _, many in _FIELDS if message == "Attribute" and name != "name"
)
_CLASSES: Final = message_classes("model", _FIELDS)


class ModelFileError(Exception):
    """The model file is missing, corrupt, hostile, or contradicts its metadata; one line, whatever the file holds."""

    def __init__(self, message: str) -> None:
        line = one_line(message)
        super().__init__(line if len(line) <= _LONGEST_MESSAGE else line[:_LONGEST_MESSAGE] + " …")


def read(path: Path) -> bytes:
    """Return the bytes of a model file.

    Raises:
        ModelFileError: it is missing, no regular file, or over 512 MiB.
    """
    try:
        return read_bounded(path, MAX_BYTES)
    except NotRegularFile:
        raise ModelFileError(f"model file '{path}' is not a regular file") from None
    except TooManyBytes as error:
        raise ModelFileError(f"model file '{path}' has {error}") from None
    except OSError as error:
        raise ModelFileError(f"model file '{path}' cannot be read: {error.strerror}") from None


def check_digest(content: bytes, expected: str) -> None:
    """Hold a model file against the SHA-256 that it is to have, hexadecimal.

    Raises:
        ModelFileError: it has another.
    """
    found = hashlib.sha256(content).hexdigest()
    if found != expected.lower():
        raise ModelFileError(f"SHA-256 {found} is not the {expected.lower()} that is asked for")


def check(content: bytes) -> None:
    """Refuse an ONNX file that is more than a network with weights; says nothing about whether it is any good.

    Raises:
        ModelFileError: it is.
    """
    try:
        model = _CLASSES["Model"].FromString(content)
    except DecodeError:
        raise ModelFileError(f"not a loadable ONNX model ({len(content)} bytes)") from None
    if model.functions or model.training or model.configuration:
        raise ModelFileError("it has functions, a training part or a device configuration")
    _check_metadata(model.metadata)
    _check_weights(model.graph)
    _check_nodes(model.graph)


def _check_metadata(entries: Any) -> None:
    total, seen = 0, set()
    for entry in entries:
        total += len(entry.key) + len(entry.value)
        if total > _MOST_TEXT:
            raise ModelFileError(f"its metadata have over {_MOST_TEXT} bytes")
        if entry.key in seen:
            raise ModelFileError(f"model metadata '{_text(entry.key)}': is there twice")
        seen.add(entry.key)
        try:
            entry.key.decode(), entry.value.decode()
        except UnicodeDecodeError:
            raise ModelFileError(f"model metadata '{_text(entry.key)}': is not UTF-8") from None


def _check_weights(graph: Any) -> None:
    if graph.sparse:
        raise ModelFileError("it has sparse weights")
    seen = {value.name for value in graph.input}
    for weight in graph.initializer:
        name = _text(weight.name)
        if weight.location or weight.elsewhere:
            raise ModelFileError(f"weight '{name}' lies in another file")
        if weight.HasField("segment") or weight.type not in _WEIGHT_TYPES:
            raise ModelFileError(f"weight '{name}' is of kind {weight.type}, which no network here has")
        if weight.name in seen:
            raise ModelFileError(f"weight '{name}' is there twice, or is an input")
        seen.add(weight.name)


def _check_nodes(graph: Any) -> None:
    if len(graph.node) > _MOST_NODES:
        raise ModelFileError(f"it has {len(graph.node)} operators, over the limit of {_MOST_NODES}")
    # Known before any pixel is: weights, shapes, and what is computed from those alone.
    fixed = {weight.name for weight in graph.initializer}
    for node in graph.node:
        operator, domain = _text(node.operator), _text(node.domain)
        if domain not in ("", "ai.onnx") or operator not in _OPERATORS:
            raise ModelFileError(f"operator '{operator}'{f' of {domain}' if domain else ''} is none that is served")
        for attribute in node.attribute:
            if any(getattr(attribute, name) if many else attribute.HasField(name) for name, many in _NUMBERS_ONLY):
                raise ModelFileError(f"'{_text(attribute.name)}' of operator '{operator}' holds more than numbers")
        of_weights = bool(node.input) and all(name in fixed for name in node.input if name)
        if of_weights and operator in _HEAVY:
            raise ModelFileError(f"operator '{operator}' takes no pixels, only weights")
        if operator == "Shape" or of_weights:
            fixed.update(node.output)
        for place in _SHAPING.get(operator, ()):
            if place < len(node.input) and node.input[place] and node.input[place] not in fixed:
                raise ModelFileError(f"operator '{operator}' takes a size from the pixels")


def _text(name: bytes) -> str:
    return name[:60].decode("utf-8", "replace")

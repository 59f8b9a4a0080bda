"""Check a session's inputs and outputs against the metadata."""

from collections.abc import Mapping
from typing import Any, Final

import onnxruntime as ort

from service.contract.spec import ModelSpec, SpecError
from service.inference.model_file import ModelFileError

IMAGE: Final = "image"
LOGITS: Final = "logits"
# Optional output: a map over the picture whose mean is the logits.
EVIDENCE: Final = "evidence"


def check_graph(session: ort.InferenceSession, spec: ModelSpec) -> tuple[int, int] | None:
    """Check inputs and outputs against the spec.

    Returns:
        rows and columns of the evidence map; None if the graph has none.

    Raises:
        ModelFileError: a tensor is missing, or has the wrong type or rank.
        SpecError: a tensor's size differs from the metadata.
    """
    classes = ("class_names", len(spec.class_names))
    sides = {1: ("input_height", spec.input_height), 2: ("input_width", spec.input_width), 3: ("input channels", 3)}
    _check_tensor(session.get_inputs(), IMAGE, "tensor(uint8)", sides)
    _check_tensor(session.get_outputs(), LOGITS, "tensor(float)", {1: classes})
    evidence = next((output for output in session.get_outputs() if output.name == EVIDENCE), None)
    if evidence is None:
        return None
    _check_tensor([evidence], EVIDENCE, "tensor(float)", {3: classes})
    rows, columns = evidence.shape[1:3]
    for side in (rows, columns):
        if not isinstance(side, int) or not 1 <= side <= max(spec.input_height, spec.input_width):
            shape = f"the graph's '{EVIDENCE}' has shape {evidence.shape}"
            raise ModelFileError(f"{shape}: its sides must be fixed and no larger than those of the input")
    if spec.output_kind != "softmax":
        raise ModelFileError(f"the graph's '{EVIDENCE}' requires output_kind 'softmax', not '{spec.output_kind}'")
    return rows, columns


def _check_tensor(tensors: Any, name: str, element_type: str, expected: Mapping[int, tuple[str, int]]) -> None:
    """Check one graph input or output against the spec; the batch axis must be free."""
    tensor = next((item for item in tensors if item.name == name), None)
    if tensor is None:
        raise ModelFileError(f"the graph has no tensor '{name}', only {', '.join(item.name for item in tensors)}")
    if tensor.type != element_type:
        raise ModelFileError(f"the graph's '{name}' has type {tensor.type}, expected {element_type}")
    if len(tensor.shape) != max(expected) + 1 or isinstance(tensor.shape[0], int):
        raise ModelFileError(
            f"the graph's '{name}' has shape {tensor.shape}, expected rank {max(expected) + 1} with a free batch axis"
        )
    for axis, (key, value) in expected.items():
        if tensor.shape[axis] != value:
            raise SpecError(key, f"says {value}, but the graph's '{name}' has {tensor.shape[axis]} on axis {axis}")

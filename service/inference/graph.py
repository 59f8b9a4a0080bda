"""Graph: a session's tensors, held against what the metadata say of them."""

from collections.abc import Mapping
from typing import Any, Final

import onnxruntime as ort

from service.contract.spec import ModelSpec, SpecError
from service.inference.model_file import ModelFileError

IMAGE: Final = "image"
LOGITS: Final = "logits"
# Optional: what the logits are the mean of, for each part of the picture.
EVIDENCE: Final = "evidence"


def check_graph(session: ort.InferenceSession, spec: ModelSpec) -> tuple[int, int] | None:
    """Hold inputs and outputs against the spec.

    Returns:
        rows and columns of the evidence map; None where the graph has none.

    Raises:
        ModelFileError: a tensor is missing, or of another type or rank.
        SpecError: it has another size than the metadata say.
    """
    classes = ("class_names", len(spec.class_names))
    sides = {1: ("input_height", spec.input_height), 2: ("input_width", spec.input_width), 3: ("input channels", 3)}
    _check_tensor(session.get_inputs(), IMAGE, "tensor(uint8)", sides)
    _check_tensor(session.get_outputs(), LOGITS, "tensor(float)", {1: classes})
    found = next((output for output in session.get_outputs() if output.name == EVIDENCE), None)
    if found is None:
        return None
    _check_tensor([found], EVIDENCE, "tensor(float)", {3: classes})
    rows, columns = found.shape[1:3]
    for side in (rows, columns):
        if not isinstance(side, int) or not 1 <= side <= max(spec.input_height, spec.input_width):
            shape = f"the graph's '{EVIDENCE}' has shape {found.shape}"
            raise ModelFileError(f"{shape}: its sides are not fixed, or beyond those of the input")
    if spec.output_kind != "softmax":
        raise ModelFileError(f"the graph's '{EVIDENCE}' does not go with output_kind '{spec.output_kind}'")
    return rows, columns


def _check_tensor(found: Any, name: str, kind: str, expected: Mapping[int, tuple[str, int]]) -> None:
    """Hold one graph input or output against the spec; the batch axis must be free."""
    tensor = next((item for item in found if item.name == name), None)
    if tensor is None:
        raise ModelFileError(f"the graph has no tensor '{name}', only {', '.join(item.name for item in found)}")
    if tensor.type != kind:
        raise ModelFileError(f"the graph's '{name}' is {tensor.type}, not {kind}")
    if len(tensor.shape) != max(expected) + 1 or isinstance(tensor.shape[0], int):
        raise ModelFileError(
            f"the graph's '{name}' has shape {tensor.shape}, not a free batch of rank {max(expected) + 1}"
        )
    for axis, (key, value) in expected.items():
        if tensor.shape[axis] != value:
            raise SpecError(key, f"says {value}, but the graph's '{name}' has {tensor.shape[axis]} on axis {axis}")

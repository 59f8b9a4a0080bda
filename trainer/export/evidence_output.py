"""Evidence map, whose mean is the logits, as a second output of a model's graph.

Networks that end in ``1x1 convolution -> global average pooling`` have this map (class activation maps, Zhou et al.
2016, arXiv:1512.04150). For other networks, the service computes evidence by occlusion.
"""

from typing import Any, Final

import numpy as np
import onnx

from service.contract.spec import ModelSpec
from trainer.networks.networks import EVIDENCE, LOGITS

_PREFIX: Final = "evidence_map/"


def with_evidence(graph: onnx.ModelProto, spec: ModelSpec) -> onnx.ModelProto:
    """Return a graph with an output ``evidence``, float32 ``[N, h, w, 2]``, whose mean over h and w is ``logits``.

    The computation of the logits does not change. A graph without such a map is returned without the output, and so
    is that of a sigmoid pair, whose probability does not depend only on the difference of the two logits.

    Args:
        graph: uint8 images to logits, of any precision.
        spec: metadata of the model; if its recipe sets ``mirror``, the map is the mean over both views.
    """
    plain = without_evidence(graph)
    # tf2onnx names the outputs of a layer after the layer.
    evidence_nodes = [node for node in plain.graph.node if node.op_type == "Conv" and f"/{EVIDENCE}" in node.output[0]]
    if spec.output_kind != "softmax" or len(evidence_nodes) != 1:
        return plain
    source = evidence_nodes[0].output[0]
    element_type, (classes, rows, columns) = _shape(plain, source)
    nodes, weights = [], []

    def add_constant(name: str, value: np.ndarray) -> str:
        weights.append(onnx.numpy_helper.from_array(value, _PREFIX + name))
        return _PREFIX + name

    def add_node(operator: str, name: str, *inputs: str, **attributes: Any) -> str:
        output = EVIDENCE if name == EVIDENCE else _PREFIX + name
        nodes.append(onnx.helper.make_node(operator, list(inputs), [output], _PREFIX + name + ":", **attributes))
        return output

    if element_type != onnx.TensorProto.FLOAT:
        source = add_node("Cast", "float32", source, to=onnx.TensorProto.FLOAT)
    if spec.recipe.get("mirror", False):
        views = add_node("Reshape", "views", source, add_constant("both", np.array((2, -1, classes, rows, columns))))
        original = add_node("Gather", "seen", views, add_constant("first", np.array(0)), axis=0)
        mirrored = add_node("Gather", "turned", views, add_constant("second", np.array(1)), axis=0)
        # Flip the map of the mirror image from the last column to the first, so that it aligns with the picture.
        slice_arguments = {"from": -1, "to": -columns - 1, "across": 3, "step": -1}
        slice_inputs = (add_constant(name, np.array([value])) for name, value in slice_arguments.items())
        total = add_node("Add", "total", original, add_node("Slice", "back_again", mirrored, *slice_inputs))
        source = add_node("Mul", "mean", total, add_constant("half", np.array(0.5, np.float32)))
    add_node("Transpose", EVIDENCE, source, perm=[0, 2, 3, 1])
    plain.graph.node.extend(nodes)
    plain.graph.initializer.extend(weights)
    shape: list[str | int | None] = ["batch", rows, columns, classes]
    plain.graph.output.append(onnx.helper.make_tensor_value_info(EVIDENCE, onnx.TensorProto.FLOAT, shape))
    onnx.checker.check_model(plain)
    return plain


def without_evidence(graph: onnx.ModelProto) -> onnx.ModelProto:
    """Return a copy of a graph with only the output ``logits``, as before :func:`with_evidence`."""
    plain = onnx.ModelProto()
    plain.CopyFrom(graph)
    for items in (plain.graph.node, plain.graph.initializer):
        kept = [item for item in items if not item.name.startswith(_PREFIX)]
        del items[:]
        items.extend(kept)
    outputs = [output for output in plain.graph.output if output.name == LOGITS]
    del plain.graph.output[:]
    plain.graph.output.extend(outputs)
    return plain


def _shape(graph: onnx.ModelProto, name: str) -> tuple[int, tuple[int, int, int]]:
    """Return the element type of the map and its number of classes, rows and columns."""
    inferred = onnx.shape_inference.infer_shapes(graph)
    (info,) = (info for info in inferred.graph.value_info if info.name == name)
    tensor = info.type.tensor_type
    _, classes, rows, columns = (axis.dim_value for axis in tensor.shape.dim)
    return tensor.elem_type, (classes, rows, columns)

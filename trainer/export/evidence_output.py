"""Evidence: the map that a network's logits are the mean of, as a second output of its graph.

Networks that end in ``1x1 convolution -> global average pooling`` have it (class activation maps, Zhou et al. 2016,
arXiv:1512.04150); of the others the service finds out by occlusion.
"""

from typing import Any, Final

import numpy as np
import onnx

from service.contract.spec import ModelSpec
from trainer.networks.networks import EVIDENCE, LOGITS

_PREFIX: Final = "evidence_map/"


def with_evidence(graph: onnx.ModelProto, spec: ModelSpec) -> onnx.ModelProto:
    """Return a graph with an output ``evidence``, float32 ``[N, h, w, 2]``, whose mean over h and w is ``logits``.

    Nothing that leads to the logits is touched. A graph without such a map comes back as it is; so does that of a
    sigmoid pair, whose probability is not a function of the two logits' difference alone.

    Args:
        graph: uint8 images to logits, of any precision.
        spec: of the model; where its recipe says ``mirror`` the map is the mean over both views.
    """
    plain = without_evidence(graph)
    # tf2onnx names what a layer makes after the layer.
    found = [node for node in plain.graph.node if node.op_type == "Conv" and f"/{EVIDENCE}" in node.output[0]]
    if spec.output_kind != "softmax" or len(found) != 1:
        return plain
    source = found[0].output[0]
    kind, (classes, rows, columns) = _shape(plain, source)
    nodes, weights = [], []

    def keep(name: str, value: np.ndarray) -> str:
        weights.append(onnx.numpy_helper.from_array(value, _PREFIX + name))
        return _PREFIX + name

    def step(operator: str, name: str, *inputs: str, **attributes: Any) -> str:
        output = EVIDENCE if name == EVIDENCE else _PREFIX + name
        nodes.append(onnx.helper.make_node(operator, list(inputs), [output], _PREFIX + name + ":", **attributes))
        return output

    if kind != onnx.TensorProto.FLOAT:
        source = step("Cast", "float32", source, to=onnx.TensorProto.FLOAT)
    if spec.recipe.get("mirror", False):
        views = step("Reshape", "views", source, keep("both", np.array((2, -1, classes, rows, columns))))
        seen = step("Gather", "seen", views, keep("first", np.array(0)), axis=0)
        turned = step("Gather", "turned", views, keep("second", np.array(1)), axis=0)
        # From the last column to the first: the mirror image's map, as it lies over the picture.
        ends = {"from": -1, "to": -columns - 1, "across": 3, "step": -1}
        kept = (keep(name, np.array([value])) for name, value in ends.items())
        total = step("Add", "total", seen, step("Slice", "back_again", turned, *kept))
        source = step("Mul", "mean", total, keep("half", np.array(0.5, np.float32)))
    step("Transpose", EVIDENCE, source, perm=[0, 2, 3, 1])
    plain.graph.node.extend(nodes)
    plain.graph.initializer.extend(weights)
    shape: list[str | int | None] = ["batch", rows, columns, classes]
    plain.graph.output.append(onnx.helper.make_tensor_value_info(EVIDENCE, onnx.TensorProto.FLOAT, shape))
    onnx.checker.check_model(plain)
    return plain


def without_evidence(graph: onnx.ModelProto) -> onnx.ModelProto:
    """Return a copy of a graph with the logits alone, as it was before :func:`with_evidence`."""
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
    """Return the map's type, and its classes, rows and columns."""
    inferred = onnx.shape_inference.infer_shapes(graph)
    (info,) = (info for info in inferred.graph.value_info if info.name == name)
    tensor = info.type.tensor_type
    _, classes, rows, columns = (axis.dim_value for axis in tensor.shape.dim)
    return tensor.elem_type, (classes, rows, columns)

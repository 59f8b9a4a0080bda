"""Conversion of a Keras network to an ONNX graph: uint8 ``image`` to float32 ``logits``, any batch size."""

import math
from typing import Any

import keras
import numpy as np
import onnx

from trainer.common.errors import TrainerError
from trainer.networks.networks import LOGITS

OPSET = 18
# Weights with at least this many values bypass the graph optimiser.
_MIN_LARGE_VALUES = 1_000_000


def convert(model: keras.Model) -> onnx.ModelProto:
    """Convert a network that ends in logits.

    tf2onnx deep-copies and scans the whole graph in each of its optimiser passes. With the 46 million weights of
    flatten-cnn-300, this takes almost all of the time of a plain conversion. Large weights therefore enter the
    conversion as graph inputs and become initializers afterwards.

    Raises:
        TrainerError: the Keras backend is not TensorFlow.
    """
    if keras.backend.backend() != "tensorflow":
        raise TrainerError("export needs KERAS_BACKEND=tensorflow; it accepts the .keras file of any backend")
    import tensorflow as tf
    import tf2onnx

    large = [variable for variable in model.variables if math.prod(variable.shape) >= _MIN_LARGE_VALUES]
    names = [f"weight_{index}" for index in range(len(large))]

    def forward(image: Any, *weights: Any) -> dict[str, Any]:
        with keras.StatelessScope(state_mapping=list(zip(large, weights, strict=True))):
            return {LOGITS: model(image, training=False)}

    signature = [tf.TensorSpec((None, *model.input.shape[1:]), tf.uint8, name="image")]
    signature += [tf.TensorSpec(v.shape, tf.float32, name=n) for v, n in zip(large, names, strict=True)]
    traced = tf.function(forward, input_signature=signature)
    proto: onnx.ModelProto
    proto, _ = tf2onnx.convert.from_function(traced, signature, opset=OPSET)
    values = {name: keras.ops.convert_to_numpy(v) for name, v in zip(names, large, strict=True)}
    _to_initializers(proto.graph, values)
    _name_batch_axis(proto.graph)
    onnx.checker.check_model(proto)
    return proto


def _to_initializers(graph: onnx.GraphProto, values: dict[str, np.ndarray]) -> None:
    kept = [item for item in graph.input if item.name not in values]
    del graph.input[:]
    graph.input.extend(kept)
    graph.initializer.extend(onnx.numpy_helper.from_array(value, name) for name, value in values.items())


def _name_batch_axis(graph: onnx.GraphProto) -> None:
    for tensor in (*graph.input, *graph.output):
        tensor.type.tensor_type.shape.dim[0].dim_param = "batch"

"""The Keras model behind a committed ONNX file, put together again from its weights: only that file is kept."""

import sys
from pathlib import Path

import keras
import numpy as np
import onnx
from onnx import numpy_helper

from trainer.networks.networks import build_network, logits_model
from trainer.recipes.recipe import RECIPES


def twin(path: Path) -> keras.Model:
    """Return ``residual-cnn`` as Keras has it; its normalisation becomes the scale and shift that export left of it."""
    graph = onnx.load(path).graph
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    model = logits_model(build_network(RECIPES["residual-cnn"]))
    convolutions = iter([layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D)])
    normalizations = iter([layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)])
    scale: np.ndarray | None = None
    for node in graph.node:
        fixed = [constants[name] for name in node.input if name in constants]
        if node.op_type == "Conv":
            layer = next(convolutions)
            kernel = fixed[0].transpose(2, 3, 1, 0)
            layer.set_weights([kernel, fixed[1]] if layer.use_bias else [kernel])
            if len(fixed) == 2 and not layer.use_bias:  # folded into the convolution
                _set(next(normalizations), np.ones_like(fixed[1]), fixed[1])
        elif "batchnorm" in node.name and node.op_type == "Mul":
            scale = fixed[0].ravel()
        elif "batchnorm" in node.name and node.op_type == "Add" and scale is not None:
            _set(next(normalizations), scale, fixed[0].ravel())
    return model


def _set(layer: keras.layers.BatchNormalization, scale: np.ndarray, shift: np.ndarray) -> None:
    layer.set_weights([scale, shift, np.zeros_like(shift), np.full_like(shift, 1 - layer.epsilon)])


if __name__ == "__main__":
    twin(Path(sys.argv[1])).save(sys.argv[2])

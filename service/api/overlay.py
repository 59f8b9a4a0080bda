"""The picture with the evidence drawn over it, as a PNG."""

import io
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from service.contract.image.decode import decode
from service.contract.image.image_errors import Limits
from service.contract.spec import ExifPolicy
from service.contract.verdict.evidence import Evidence

_MAX_SIDE: Final = 1024
# Orange for fake, blue for real: distinguishable with colour vision deficiency (Okabe and Ito 2008).
_FAKE, _REAL = (213, 94, 0), (0, 114, 178)
_MAX_OPACITY: Final = 0.75
# Log-odds drawn with maximum opacity; larger values in the evidence raise it.
_FULL_SCALE: Final = 2.0


def overlay(payload: bytes, limits: Limits, exif_policy: ExifPolicy, evidence: Evidence) -> bytes:
    """Return the picture, at most 1024 pixels wide and high, with the evidence drawn over it.

    Args:
        payload: bytes of the picture.
        limits: limits for decoding.
        exif_policy: EXIF policy for decoding.
        evidence: evidence with its box in pixels of the picture.
    """
    rgb = decode(payload, limits, exif_policy).rgb
    scale = min(1.0, _MAX_SIDE / max(rgb.size))
    canvas = rgb.resize((max(1, round(rgb.width * scale)), max(1, round(rgb.height * scale))), Image.Resampling.LANCZOS)
    left, top, right, bottom = (round(edge * scale) for edge in evidence.box)
    colours = Image.fromarray(_coloured(evidence.values), "RGBA")
    layer = colours.resize((max(1, right - left), max(1, bottom - top)), Image.Resampling.BICUBIC)
    canvas.paste(layer, (left, top), layer)
    buffer = io.BytesIO()
    canvas.save(buffer, "PNG", compress_level=1)  # fast rather than small: the PNG is sent once
    return buffer.getvalue()


def _coloured(values: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Return evidence as colours, uint8 ``[rows, columns, 4]`` RGBA; stronger evidence is less transparent."""
    strength = np.abs(values) / max(_FULL_SCALE, float(np.abs(values).max()))
    colours = np.where(values[..., None] > 0, np.array(_FAKE), np.array(_REAL))
    alpha = (255 * _MAX_OPACITY * strength)[..., None]
    return np.concatenate((colours, alpha), axis=-1).round().astype(np.uint8)

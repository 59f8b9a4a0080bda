"""Overlay: evidence drawn over its picture, as a PNG."""

import io
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from service.contract.image.decode import decode
from service.contract.image.image_errors import Limits
from service.contract.spec import ExifPolicy
from service.contract.verdict.evidence import Evidence

LONGEST_SIDE: Final = 1024
# Orange speaks for fake, blue for real: told apart by who sees no red or no green (Okabe and Ito 2008).
_FAKE, _REAL = (213, 94, 0), (0, 114, 178)
_STRONGEST: Final = 0.75
# Log-odds that are drawn in full; where some are stronger, the strongest.
_FULL: Final = 2.0


def overlay(payload: bytes, limits: Limits, exif_policy: ExifPolicy, evidence: Evidence) -> bytes:
    """Return the picture, at most 1024 pixels wide and high, with the evidence over it.

    Args:
        payload: of the picture.
        limits: that it was decoded with.
        exif_policy: that it was decoded by.
        evidence: whose box is in pixels of the picture.
    """
    rgb = decode(payload, limits, exif_policy).rgb
    scale = min(1.0, LONGEST_SIDE / max(rgb.size))
    shown = rgb.resize((max(1, round(rgb.width * scale)), max(1, round(rgb.height * scale))), Image.Resampling.LANCZOS)
    left, top, right, bottom = (round(edge * scale) for edge in evidence.box)
    colours = Image.fromarray(coloured(evidence.values), "RGBA")
    laid = colours.resize((max(1, right - left), max(1, bottom - top)), Image.Resampling.BICUBIC)
    shown.paste(laid, (left, top), laid)
    buffer = io.BytesIO()
    shown.save(buffer, "PNG", compress_level=1)  # it is looked at once
    return buffer.getvalue()


def coloured(values: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Return evidence as colours, uint8 ``[rows, columns, 4]`` RGBA: the stronger, the less transparent."""
    strength = np.abs(values) / max(_FULL, float(np.abs(values).max()))
    colours = np.where(values[..., None] > 0, np.array(_FAKE), np.array(_REAL))
    alpha = (255 * _STRONGEST * strength)[..., None]
    return np.concatenate((colours, alpha), axis=-1).round().astype(np.uint8)

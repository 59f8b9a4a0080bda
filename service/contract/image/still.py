"""Still: result of reading a picture's container, which is read to its end before any pixel is decoded."""

from dataclasses import dataclass
from typing import Literal

Format = Literal["JPEG", "PNG", "WEBP"]


@dataclass(frozen=True, slots=True)
class Still:
    """The one picture of a container, not decoded yet.

    Attributes:
        format: ``JPEG``, ``PNG`` or ``WEBP``.
        width: columns as stored, pixels.
        height: rows as stored, pixels.
        orientation: EXIF orientation, 1 (as stored) to 8.
        stream: the file that the decoder reads. It lacks everything that does not affect the pixels: comments,
            profiles, EXIF, XMP, thumbnails, and data after the end of the picture.
        exif: the EXIF block, at most 64 KiB; used only for the camera's details.
    """

    format: Format
    width: int
    height: int
    orientation: int
    stream: bytes
    exif: bytes = b""

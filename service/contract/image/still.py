"""Still: one picture's container, read from end to end before any pixel is decoded."""

from dataclasses import dataclass
from typing import Literal

Format = Literal["JPEG", "PNG", "WEBP"]


@dataclass(frozen=True, slots=True)
class Still:
    """What a container holds of its one picture.

    Attributes:
        format: ``JPEG``, ``PNG`` or ``WEBP``.
        width: columns as stored, pixels.
        height: rows as stored, pixels.
        orientation: as EXIF has it, 1 (as stored) to 8.
        stream: the file without what has no say in the pixels: comments, profiles, EXIF, XMP, thumbnails, and
            whatever lies behind the picture's end. The decoder is given this, and so meets none of them.
        exif: the EXIF block, at most 64 KiB of it; for what a camera says of itself alone.
    """

    format: Format
    width: int
    height: int
    orientation: int
    stream: bytes
    exif: bytes = b""

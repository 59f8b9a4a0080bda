"""Decode picture files to RGB; shared by training and serving.

Conversion to RGB:

- greyscale (1, L): the grey value in all three channels;
- palette (P): through the palette; alpha (RGBA, LA, P with transparency): composited over white;
- CMYK and YCCK JPEG: Pillow's conversion (Adobe inversion included), no ICC profile applied;
- 16-bit PNG: the high byte of each sample; a transparent colour key is ignored in 16-bit greyscale;
- EXIF orientation: applied or ignored, according to the model's spec.

Animations (WebP, APNG) are refused, even of one frame: they have no single verdict. A JPEG that carries
further pictures (MPO, gain maps) is read as its first picture. Cut or damaged files are refused if the file
itself shows the damage.
"""

import io
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from service.contract.image import jpeg, png, webp
from service.contract.image.image_errors import Corrupt, ImageError, Limits, UnsupportedFormat
from service.contract.image.still import Format, Still
from service.contract.spec import ExifPolicy

# Part of the cache key of tensors: increase it when the same bytes may decode, or be resized, to other pixels.
DECODE_VERSION: Final = 1

# Limits.max_pixels is checked against the header, before any pixel is decoded. Pillow's own
# process-wide limit would raise first, with a different figure.
Image.MAX_IMAGE_PIXELS = None

_READERS: Final[dict[Format, Callable[[bytes, Limits], Still]]] = {
    "JPEG": jpeg.read,
    "PNG": png.read,
    "WEBP": webp.read,
}
_TURNS: Final[dict[int, Image.Transpose]] = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@dataclass(frozen=True, slots=True)
class DecodedImage:
    """One decoded picture.

    Attributes:
        format: detected from the content; ``RAW`` for a picture received as pixels.
        width: columns as shown, after any EXIF orientation, pixels.
        height: rows as shown, pixels.
        rgb: the picture, mode RGB.
        exif: its EXIF block, see :class:`~service.contract.image.still.Still`.
    """

    format: Format | Literal["RAW"]
    width: int
    height: int
    rgb: Image.Image
    exif: bytes = b""


def sniff(head: bytes) -> Format:
    """Return ``JPEG``, ``PNG`` or ``WEBP`` from the first 12 bytes; file names are ignored.

    Raises:
        UnsupportedFormat: the bytes are not those of a JPEG, PNG or WebP.
    """
    if head[:3] == b"\xff\xd8\xff":
        return "JPEG"
    if head[:8] == b"\x89PNG\r\n\x1a\n":
        return "PNG"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WEBP"
    raise UnsupportedFormat(
        f"the content is not a JPEG, PNG or WebP: its first bytes are {head[:12].hex(' ') or '(none)'}"
    )


def decode(payload: bytes, limits: Limits, exif_policy: ExifPolicy) -> DecodedImage:
    """Decode one picture to RGB; its container is read to its end before memory for pixels is allocated.

    Args:
        payload: the file's bytes.
        limits: limits on payload and picture size.
        exif_policy: ``apply`` turns the picture upright.

    Raises:
        ImageError: the picture is refused; the subclass names the cause.
    """
    limits.check_bytes(len(payload))
    file_format = sniff(payload[:12])
    still = _READERS[file_format](payload, limits)
    try:
        rgb = _to_rgb(jpeg.pixels(still)) if file_format == "JPEG" else _pixels(still)
        if exif_policy == "apply" and (turn := _TURNS.get(still.orientation)) is not None:
            rgb = rgb.transpose(turn)
    except MemoryError:
        raise Corrupt(f"there is not enough memory to decode the {file_format}") from None
    return DecodedImage(file_format, rgb.width, rgb.height, rgb, still.exif)


def as_decoded(pixels: NDArray[np.uint8], limits: Limits) -> DecodedImage:
    """Return a :class:`DecodedImage` from pixels that the caller has decoded.

    Args:
        pixels: uint8 ``[H, W, 3]`` RGB, upright.
        limits: limits on picture size.

    Raises:
        TooManyPixels: width x height is over ``limits.max_pixels``.
        TooSmall: a side is under ``limits.min_side``.
    """
    height, width, _ = pixels.shape
    limits.check_size(width, height)
    return DecodedImage("RAW", width, height, Image.fromarray(pixels))


def _pixels(still: Still) -> Image.Image:
    """Decode a PNG or WebP of any mode to RGB."""
    try:
        with Image.open(io.BytesIO(still.stream), formats=[still.format]) as image:
            if image.size != (still.width, still.height):
                raise Corrupt(
                    f"the {still.format} declares two sizes: {still.width} x {still.height} "
                    f"and {image.width} x {image.height} pixels"
                )
            image.load()
            return _to_rgb(image)
    # Pillow's plugins raise these on damaged files; any other exception is a bug in this module and propagates.
    except (
        OSError,
        SyntaxError,
        ValueError,
        EOFError,
        IndexError,
        KeyError,
        TypeError,
        OverflowError,
        AssertionError,
        struct.error,
        zlib.error,
    ) as error:
        if isinstance(error, ImageError):
            raise
        reason = "" if isinstance(error, UnidentifiedImageError) else f": {error}"
        raise Corrupt(f"the {still.format} cannot be decoded completely{reason}") from None


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):  # 16-bit greyscale PNG, as I;16 or I
        high_byte = (np.asarray(image).astype(np.uint32) >> 8).clip(0, 255).astype(np.uint8)
        return Image.fromarray(high_byte).convert("RGB")
    if image.has_transparency_data:
        rgba = image if image.mode == "RGBA" else image.convert("RGBA")
        white = Image.new("RGB", rgba.size, (255, 255, 255))
        white.paste(rgba, mask=rgba)
        return white
    return image if image.mode == "RGB" else image.convert("RGB")

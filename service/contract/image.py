"""Bytes to uint8 tensor: the one decode and the one resize, shared by training and serving.

Conversion to RGB, the same for every caller:

- greyscale (1, L): the grey value in all three channels;
- palette (P): through the palette; alpha (RGBA, LA, P with transparency): composited over white;
- CMYK and YCCK JPEG: Pillow's conversion (Adobe inversion included), no ICC profile applied;
- 16-bit PNG: the high byte of each sample; a transparent colour key is ignored in 16-bit greyscale;
- EXIF orientation: applied or ignored, as the model's spec says.

Animations (WebP, APNG) are refused, of one frame too: they have no single verdict. A JPEG that carries
further pictures (MPO, gain maps) is read as its first picture. What is cut or damaged is refused as far as the
file itself tells.
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

from service.contract import jpeg, png, webp
from service.contract.refusals import Corrupt, ImageError, Limits, UnsupportedFormat
from service.contract.spec import ExifPolicy, Preprocessing, ResizeFilter, ResizeFit
from service.contract.still import Format, Still

# Limits.max_pixels is checked from the header, before any pixel is decoded, and is what the
# caller set; Pillow's own process-wide limit would raise first and with another figure.
Image.MAX_IMAGE_PIXELS = None

# Left, top, right and bottom, pixels, not rounded.
Box = tuple[float, float, float, float]

_FILTERS: Final[dict[ResizeFilter, Image.Resampling]] = {
    "nearest": Image.Resampling.NEAREST,
    "box": Image.Resampling.BOX,
    "bilinear": Image.Resampling.BILINEAR,
    "hamming": Image.Resampling.HAMMING,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
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
        format: by content; ``RAW`` where it came as pixels.
        width: columns as shown, after any EXIF orientation, pixels.
        height: rows as shown, pixels.
        rgb: the picture, mode RGB.
        exif: its EXIF block, as :class:`~service.contract.still.Still` has it.
    """

    format: Format | Literal["RAW"]
    width: int
    height: int
    rgb: Image.Image
    exif: bytes = b""


def sniff(head: bytes) -> Format:
    """Return ``JPEG``, ``PNG`` or ``WEBP`` from the first 12 bytes, whatever the name says.

    Raises:
        UnsupportedFormat: it is none of them.
    """
    if head[:3] == b"\xff\xd8\xff":
        return "JPEG"
    if head[:8] == b"\x89PNG\r\n\x1a\n":
        return "PNG"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WEBP"
    raise UnsupportedFormat(f"the first bytes {head[:12].hex(' ') or '(none)'} are not those of a JPEG, PNG or WebP")


def decode(payload: bytes, limits: Limits, exif_policy: ExifPolicy) -> DecodedImage:
    """Decode one picture to RGB; its container is read from end to end before pixel memory is taken.

    Args:
        payload: the file's bytes.
        limits: what to refuse.
        exif_policy: ``apply`` turns the picture upright.

    Raises:
        ImageError: a subclass says why.
    """
    limits.check_bytes(len(payload))
    file_format = sniff(payload[:12])
    still = _READERS[file_format](payload, limits)
    try:
        rgb = _to_rgb(jpeg.pixels(still)) if file_format == "JPEG" else _pixels(still)
        if exif_policy == "apply" and (turn := _TURNS.get(still.orientation)) is not None:
            rgb = rgb.transpose(turn)
    except MemoryError:
        raise Corrupt(f"the {file_format} needs more memory than there is") from None
    return DecodedImage(file_format, rgb.width, rgb.height, rgb, still.exif)


def as_decoded(pixels: NDArray[np.uint8], limits: Limits) -> DecodedImage:
    """Return a picture that the caller has decoded.

    Args:
        pixels: uint8 ``[H, W, 3]`` RGB, upright.
        limits: what to refuse.

    Raises:
        TooManyPixels: it has too many.
        TooSmall: a side is too short.
    """
    height, width, _ = pixels.shape
    limits.check_size(width, height)
    return DecodedImage("RAW", width, height, Image.fromarray(pixels))


def _pixels(still: Still) -> Image.Image:
    """Decode a PNG or WebP, whatever its mode, to RGB."""
    try:
        with Image.open(io.BytesIO(still.stream), formats=[still.format]) as image:
            if image.size != (still.width, still.height):
                raise Corrupt(f"the {still.format} is {image.width} x {image.height} pixels, and its header says other")
            image.load()
            return _to_rgb(image)
    # What Pillow's plugins raise on damaged files; anything else is a bug of ours and stays loud.
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
        raise Corrupt(f"the {still.format} cannot be decoded whole{reason}") from None


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


def covered(width: int, height: int, across: int, down: int, fit: ResizeFit) -> Box:
    """Return the part of a picture that becomes the model's input: left, top, right and bottom, pixels.

    ``stretch`` takes all of it. ``crop`` takes what the input's shape just covers (its shortest
    side fits) around the centre.

    Args:
        width: of the picture, pixels.
        height: of the picture, pixels.
        across: columns of the input, pixels.
        down: rows of the input, pixels.
        fit: ``stretch`` or ``crop``.
    """
    if fit == "stretch":
        return 0.0, 0.0, float(width), float(height)
    scale = min(width / across, height / down)
    left, top = (width - across * scale) / 2, (height - down * scale) / 2
    return left, top, left + across * scale, top + down * scale


def resize(
    rgb: Image.Image, height: int, width: int, resize_filter: ResizeFilter, fit: ResizeFit, box: Box | None = None
) -> Image.Image:
    """Cut and resize to exactly ``width`` x ``height``, in one resampling step.

    Args:
        rgb: mode RGB.
        height: target rows, pixels.
        width: target columns, pixels.
        resize_filter: every filter but ``nearest`` widens with the scale, so it antialiases.
        fit: ``stretch`` ignores the aspect ratio, ``crop`` cuts the centre (:func:`covered`).
        box: the part to take instead, inside the picture: left, top, right and bottom, pixels.
    """
    left, top, right, bottom = box or covered(rgb.width, rgb.height, width, height, fit)
    # Rounding may put an edge a hair outside, which Pillow refuses.
    box = (max(0.0, left), max(0.0, top), min(float(rgb.width), right), min(float(rgb.height), bottom))
    if box == (0.0, 0.0, float(width), float(height)) and rgb.size == (width, height):
        return rgb
    return rgb.resize((width, height), _FILTERS[resize_filter], box=box)


def to_tensor(image: DecodedImage, preprocessing: Preprocessing, box: Box | None = None) -> NDArray[np.uint8]:
    """Return the model's input for one picture: uint8 ``[H, W, 3]``, RGB, 0 to 255.

    Args:
        image: as decoded.
        preprocessing: input size, filter and fit; its framing is the caller's business
            (:mod:`service.contract.framing`).
        box: the part to look at, as for :func:`resize`.
    """
    resized = resize(
        image.rgb,
        preprocessing.input_height,
        preprocessing.input_width,
        preprocessing.resize_filter,
        preprocessing.resize_fit,
        box,
    )
    return np.asarray(resized, dtype=np.uint8)

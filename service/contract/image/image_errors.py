"""Errors for refused pictures, and the limits on payload and picture size."""

from dataclasses import dataclass


class ImageError(ValueError):
    """A refused picture. ``code`` is stable and meant for programs.

    ImageError
    ├── UnsupportedFormat   first bytes are not those of a JPEG, PNG or WebP
    ├── TooManyBytes        payload is longer than the limit
    ├── TooManyPixels       header declares more pixels than the limit
    ├── TooSmall            a side is shorter than the limit
    ├── Animated            an animation, even of one frame
    └── Corrupt             cut off, damaged, or not valid by its format's standard
    """

    code = "image_error"


class UnsupportedFormat(ImageError):
    """The first bytes are not those of a JPEG, PNG or WebP."""

    code = "unsupported_format"


class TooManyBytes(ImageError):
    """The payload is longer than ``Limits.max_bytes``."""

    code = "payload_too_large"


class TooManyPixels(ImageError):
    """The header declares more than ``Limits.max_pixels``."""

    code = "too_many_pixels"


class TooSmall(ImageError):
    """A side is shorter than ``Limits.min_side``."""

    code = "image_too_small"


class Animated(ImageError):
    """The file is an animation, which has no single verdict."""

    code = "animated_image"


class Corrupt(ImageError):
    """The file is cut off, damaged, or not valid by its format's standard."""

    code = "corrupt_image"


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits that are checked before pixels are decoded.

    Attributes:
        max_bytes: longest payload, bytes.
        max_pixels: most pixels (width x height) that a header may declare.
        min_side: shortest width or height, pixels; a smaller picture holds too little evidence for a detector.
    """

    max_bytes: int = 20 * 1024 * 1024
    max_pixels: int = 50_000_000
    min_side: int = 32

    def check_bytes(self, count: int) -> None:
        """Refuse a payload that is too long.

        Raises:
            TooManyBytes: ``count`` is over ``max_bytes``.
        """
        if count > self.max_bytes:
            raise TooManyBytes(f"{count} bytes are over the limit of {self.max_bytes}")

    def check_size(self, width: int, height: int) -> None:
        """Refuse a picture by the size that its header declares, pixels.

        Raises:
            Corrupt: a side is under 1 pixel.
            TooManyPixels: width x height is over ``max_pixels``.
            TooSmall: a side is under ``min_side``.
        """
        if width < 1 or height < 1:
            raise Corrupt(f"the header declares {width} x {height} pixels; both sides must be at least 1")
        if width * height > self.max_pixels:
            raise TooManyPixels(f"{width} x {height} = {width * height} pixels are over the limit of {self.max_pixels}")
        if min(width, height) < self.min_side:
            raise TooSmall(f"{width} x {height} pixels: the shorter side is below the minimum of {self.min_side}")

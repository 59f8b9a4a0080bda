"""Refusals: which pictures are not scored, and the limits that say so from the header."""

from dataclasses import dataclass


class ImageError(ValueError):
    """A picture that is refused. ``code`` is stable and meant for programs.

    ImageError
    ├── UnsupportedFormat   not JPEG, PNG or WebP by its first bytes
    ├── TooManyBytes        payload longer than the limit
    ├── TooManyPixels       header announces more pixels than the limit
    ├── TooSmall            a side shorter than the limit
    ├── Animated            an animation, of however many frames
    └── Corrupt             cut, damaged, or not as its format's standard has it
    """

    code = "image_error"


class UnsupportedFormat(ImageError):
    """Not JPEG, PNG or WebP by its first bytes."""

    code = "unsupported_format"


class TooManyBytes(ImageError):
    """Payload longer than ``Limits.max_bytes``."""

    code = "payload_too_large"


class TooManyPixels(ImageError):
    """Header announces more than ``Limits.max_pixels``."""

    code = "too_many_pixels"


class TooSmall(ImageError):
    """A side is shorter than ``Limits.min_side``."""

    code = "image_too_small"


class Animated(ImageError):
    """An animation: it has no single verdict."""

    code = "animated_image"


class Corrupt(ImageError):
    """Cut, damaged, or not as its format's standard has it."""

    code = "corrupt_image"


@dataclass(frozen=True, slots=True)
class Limits:
    """What is refused before pixels are decoded.

    Attributes:
        max_bytes: longest payload, bytes.
        max_pixels: most pixels (width x height) a header may announce.
        min_side: shortest width or height, pixels; below it no detector has evidence to read.
    """

    max_bytes: int = 20 * 1024 * 1024
    max_pixels: int = 50_000_000
    min_side: int = 32

    def check_bytes(self, count: int) -> None:
        """Refuse a payload that is too long.

        Raises:
            TooManyBytes: it is.
        """
        if count > self.max_bytes:
            raise TooManyBytes(f"{count} bytes are over the limit of {self.max_bytes}")

    def check_size(self, width: int, height: int) -> None:
        """Refuse a picture by the size that its header announces, pixels.

        Raises:
            Corrupt: it has no pixels.
            TooManyPixels: it has too many.
            TooSmall: a side is too short.
        """
        if width < 1 or height < 1:
            raise Corrupt(f"the header announces {width} x {height} pixels")
        if width * height > self.max_pixels:
            raise TooManyPixels(f"{width} x {height} = {width * height} pixels are over the limit of {self.max_pixels}")
        if min(width, height) < self.min_side:
            raise TooSmall(f"{width} x {height} pixels: a side is under the limit of {self.min_side}")

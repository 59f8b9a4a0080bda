"""Conditions under which a picture may reach the service.

Three tiers (``clean``: unchanged; ``web``: longest side at most 768 px, then JPEG 60; ``hard``: at most 512 px, then
JPEG 40), one curve each for JPEG quality, scale, blur and noise, and a grid of JPEG quality by scale for the verdict
flip rate.
"""

import io
import math
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from PIL import Image, ImageFilter

from service.contract.image.decode import decode
from service.contract.image.image_errors import Limits
from trainer.data.dataset import SCAN_LIMITS

Kind = Literal["tier", "JPEG quality", "scale", "blur, pixels", "noise, of 255", "grid"]
_MAX_SIDE: Final = 65_000
_MAX_PIXELS: Final = 50_000_000
_DECODE_LIMITS: Final = Limits(max_bytes=2**31, max_pixels=2**31)


@dataclass(frozen=True, slots=True)
class Condition:
    """Degradation of a picture: steps applied in this order, each off by default.

    Attributes:
        kind: group of conditions that a report shows together.
        name: label within the group.
        max_side: limit of the longest side, pixels (Lanczos).
        scale: factor of both sides (bicubic, antialiased).
        blur: standard deviation of a Gaussian blur, pixels.
        noise: standard deviation of Gaussian noise, on a scale of 0 to 255.
        quality: quality of a JPEG 4:2:0 compression.
    """

    kind: Kind
    name: str
    max_side: int | None = None
    scale: float = 1.0
    blur: float = 0.0
    noise: float = 0.0
    quality: int | None = None


QUALITIES: Final = (50, 70, 90)
SCALES: Final = (0.5, 1.0, 2.0)
CONDITIONS: Final[tuple[Condition, ...]] = (
    Condition("tier", "clean"),
    Condition("tier", "web", max_side=768, quality=60),
    Condition("tier", "hard", max_side=512, quality=40),
    *(Condition("JPEG quality", str(quality), quality=quality) for quality in (95, 80, 60, 40, 30)),
    *(Condition("scale", f"{scale:g}", scale=scale) for scale in (0.25, 0.5, 0.75, 1.5, 2.0)),
    *(Condition("blur, pixels", f"{sigma:g}", blur=sigma) for sigma in (0.5, 1.0, 2.0, 3.0)),
    *(Condition("noise, of 255", f"{sigma:g}", noise=sigma) for sigma in (2.0, 5.0, 10.0, 20.0)),
    *(
        Condition("grid", f"JPEG {quality} at {scale:g}", scale=scale, quality=quality)
        for quality in QUALITIES
        for scale in SCALES
    ),
)
# The release gates use the tiers, and the grid for the flip rate.
RELEASE: Final = tuple(condition for condition in CONDITIONS if condition.kind in ("tier", "grid"))


def degrade(rgb: Image.Image, condition: Condition, seed: int = 0) -> Image.Image:
    """Apply a condition to a picture.

    Args:
        rgb: picture in mode RGB.
        condition: steps to apply.
        seed: seed of the noise.
    """
    if condition.max_side and max(rgb.size) > condition.max_side:
        rgb = _scaled(rgb, condition.max_side / max(rgb.size), Image.Resampling.LANCZOS)
    if condition.scale != 1.0:
        rgb = _scaled(rgb, condition.scale, Image.Resampling.BICUBIC)
    if condition.blur:
        rgb = rgb.filter(ImageFilter.GaussianBlur(condition.blur))
    if condition.noise:
        pixels = np.asarray(rgb, dtype=np.float32)
        noise = np.random.default_rng(seed).normal(0, condition.noise, pixels.shape).astype(np.float32)
        rgb = Image.fromarray((pixels + noise).clip(0, 255).round().astype(np.uint8))
    if condition.quality:
        buffer = io.BytesIO()
        rgb.save(buffer, "JPEG", quality=condition.quality, subsampling=2)
        rgb = decode(buffer.getvalue(), _DECODE_LIMITS, "ignore").rgb
    return rgb


def _scaled(rgb: Image.Image, factor: float, resample: Image.Resampling) -> Image.Image:
    # Keeps the result within the service's minimum side, the maximum JPEG side and a memory limit.
    factor = max(factor, SCAN_LIMITS.min_side / min(rgb.size))
    factor = min(
        factor, max(1.0, _MAX_SIDE / max(rgb.size)), max(1.0, math.sqrt(_MAX_PIXELS / (rgb.width * rgb.height)))
    )
    return rgb.resize((round(rgb.width * factor), round(rgb.height * factor)), resample)

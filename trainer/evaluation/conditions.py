"""Conditions: what happens to a picture on its way to the service.

Three tiers (clean; ``web``: longest side at most 768 px, then JPEG 60; ``hard``: at most 512 px,
then JPEG 40), one curve each for JPEG, scale, blur and noise, and the grid of JPEG by scale over
which verdicts must not flip.
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
_LONGEST: Final = 65_000
_PIXELS: Final = 50_000_000
_LIMITS: Final = Limits(max_bytes=2**31, max_pixels=2**31)


@dataclass(frozen=True, slots=True)
class Condition:
    """One way that a picture may have come; steps that do nothing by default, in this order.

    Attributes:
        kind: which figure it belongs to.
        name: what stands there.
        max_side: the longest side is brought to at most this, pixels (Lanczos).
        scale: both sides are multiplied by it (bicubic, antialiased).
        blur: standard deviation of a Gaussian, pixels.
        noise: standard deviation of Gaussian noise, of 255.
        quality: saved as JPEG 4:2:0 at this quality.
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
# What a release is held to: the tiers, and the grid for the flips.
RELEASE: Final = tuple(condition for condition in CONDITIONS if condition.kind in ("tier", "grid"))


def degrade(rgb: Image.Image, condition: Condition, seed: int = 0) -> Image.Image:
    """Return the picture as it arrives under a condition.

    Args:
        rgb: mode RGB.
        condition: what happens.
        seed: of the noise.
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
        rgb = decode(buffer.getvalue(), _LIMITS, "ignore").rgb
    return rgb


def _scaled(rgb: Image.Image, factor: float, resample: Image.Resampling) -> Image.Image:
    # No shorter than the service accepts, no longer than a JPEG can be, no larger than memory bears.
    factor = max(factor, SCAN_LIMITS.min_side / min(rgb.size))
    factor = min(factor, max(1.0, _LONGEST / max(rgb.size)), max(1.0, math.sqrt(_PIXELS / (rgb.width * rgb.height))))
    return rgb.resize((round(rgb.width * factor), round(rgb.height * factor)), resample)

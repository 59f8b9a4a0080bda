"""Protocol: what happens to a picture on its way to the service, and what that does to the verdict.

Three tiers (clean; ``web``: longest side at most 768 px, then JPEG 60; ``hard``: at most 512 px,
then JPEG 40), one curve each for JPEG, scale, blur and noise, and the grid of JPEG by scale over
which verdicts must not flip. Pictures go through the contract's own decode and resize.
"""

import io
import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter
from sklearn.metrics import roc_auc_score

from service.contract.framing import frame
from service.contract.image import DecodedImage, Limits, decode, to_tensor
from service.contract.spec import ModelSpec
from service.engine import Engine
from trainer.dataset import SCAN_LIMITS, Sample, is_fake
from trainer.evaluate import calibrated
from trainer.progress import track
from trainer.stats import wilson

Kind = Literal["tier", "JPEG quality", "scale", "blur, pixels", "noise, of 255", "grid"]
_THREADS: Final = 2
_CHUNK: Final = 8
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


def some(samples: Sequence[Sample], most: int) -> list[Sample]:
    """Return at most ``most`` samples of every source and class, the same ones each time."""
    strata: dict[tuple[str, str], list[Sample]] = {}
    for sample in sorted(samples, key=lambda sample: sample.sha256):
        strata.setdefault((sample.source, sample.label), []).append(sample)
    return [sample for _, stratum in sorted(strata.items()) for sample in stratum[:most]]


def robustness(
    engine: Engine, samples: Sequence[Sample], conditions: Sequence[Condition] = CONDITIONS
) -> dict[str, Any]:
    """Score every sample under every condition.

    Args:
        engine: the model.
        samples: pictures.
        conditions: the first does nothing; those of the grid are among them.

    Returns:
        ``images``; ``conditions``, each with its figures pooled and the AUC of every source;
        ``flips``: the share of verdicts that differ from the untouched picture's, by quality and
        scale, and over the whole grid with its interval.
    """
    p_fake = scores(engine, samples, conditions)
    truth, spec = is_fake(samples), engine.spec
    verdict = _verdicts(p_fake, spec)
    sources = np.array([sample.source for sample in samples])
    rows = [
        {
            "kind": condition.kind,
            "name": condition.name,
            **_figures(truth, p_fake[column], verdict[column]),
            "flipped": float((verdict[column] != verdict[0]).mean()),
            "sources": {str(s): _auc(truth[sources == s], p_fake[column][sources == s]) for s in sorted(set(sources))},
        }
        for column, condition in enumerate(conditions)
    ]
    grid = [column for column, condition in enumerate(conditions) if condition.kind == "grid"]
    flipped = verdict[grid] != verdict[0]
    turned = (verdict[grid] + verdict[0] == 0) & (verdict[0] != 0)
    return {
        "images": len(samples),
        "conditions": rows,
        "flips": {
            "rate": float(flipped.mean()),
            # The nine variants of one picture are not independent: the interval counts pictures.
            "interval": list(wilson(round(float(flipped.mean()) * len(samples)), len(samples))),
            "between_real_and_fake": float(turned.mean()),
            "qualities": list(QUALITIES),
            "scales": list(SCALES),
            "grid": flipped.mean(axis=1).reshape(len(QUALITIES), len(SCALES)).tolist(),
        },
    }


def scores(engine: Engine, samples: Sequence[Sample], conditions: Sequence[Condition]) -> NDArray[np.float64]:
    """Return P(fake) under each condition, float64 ``[conditions, N]``."""

    def variants(sample: Sample) -> NDArray[np.uint8]:
        rgb = decode(sample.path.read_bytes(), SCAN_LIMITS, engine.spec.exif_policy).rgb
        seed = int(sample.sha256[:8], 16)
        how = engine.spec.preprocessing
        pictures = (degrade(rgb, condition, seed) for condition in conditions)
        return np.stack([to_tensor(DecodedImage("", p.width, p.height, p), how, frame(p, how)) for p in pictures])

    columns = []
    chunks = [samples[start : start + _CHUNK] for start in range(0, len(samples), _CHUNK)]
    with ThreadPoolExecutor(_THREADS) as pool:
        for chunk in track(chunks, f"robustness of {engine.spec.name}", total=len(chunks)):
            for tensors in pool.map(variants, chunk):
                columns.append(calibrated(engine.logits(tensors), engine.spec))
    return np.stack(columns, axis=1)


def _verdicts(p_fake: NDArray[np.float64], spec: ModelSpec) -> NDArray[np.int8]:
    """Return -1 for real, 0 for uncertain, 1 for fake."""
    called: NDArray[np.int8] = np.where(
        p_fake >= spec.threshold_fake, 1, np.where(p_fake <= spec.threshold_real, -1, 0)
    )
    return called.astype(np.int8)


def _figures(truth: NDArray[np.bool_], p_fake: NDArray[np.float64], verdict: NDArray[np.int8]) -> dict[str, Any]:
    return {
        "roc_auc": _auc(truth, p_fake),
        "real_called_fake": float((verdict[~truth] == 1).mean()) if not truth.all() else None,
        "fake_called_real": float((verdict[truth] == -1).mean()) if truth.any() else None,
        "uncertain": float((verdict == 0).mean()),
    }


def _auc(truth: NDArray[np.bool_], p_fake: NDArray[np.float64]) -> float | None:
    return float(roc_auc_score(truth, p_fake)) if truth.any() and not truth.all() else None

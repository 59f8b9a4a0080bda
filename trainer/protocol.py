"""Protocol: what the conditions under which a picture arrives do to its score and its verdict.

Pictures go through the contract's own decode and resize.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from service.contract.framing import frame
from service.contract.image import DecodedImage, decode, to_tensor
from service.contract.spec import ModelSpec
from service.engine import Engine
from trainer.conditions import CONDITIONS, QUALITIES, SCALES, Condition, degrade
from trainer.dataset import SCAN_LIMITS, Sample, is_fake
from trainer.evaluate import calibrated
from trainer.progress import track
from trainer.stats import wilson

_THREADS: Final = 2
_CHUNK: Final = 8


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

"""Robustness of scores and verdicts under degradations such as JPEG compression and resizing.

Pictures go through the decode and resize of the contract.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from service.contract.faces.face import MIN_FACE
from service.contract.faces.finder import face_finder
from service.contract.faces.framing import frame
from service.contract.image.decode import DecodedImage, decode
from service.contract.image.resize import to_tensor
from service.contract.spec import ModelSpec
from service.inference.engine import Engine
from trainer.common.progress import track
from trainer.common.stats import wilson
from trainer.data.dataset import SCAN_LIMITS, Sample, is_fake, sample_bytes
from trainer.evaluation.conditions import CONDITIONS, QUALITIES, SCALES, Condition, degrade
from trainer.evaluation.evaluate import calibrated

_THREADS: Final = 2
_CHUNK: Final = 8


@dataclass(frozen=True, slots=True)
class Observations:
    """Scores of a model under conditions, and whether each face is large enough for a verdict.

    Attributes:
        p_fake: float64 ``[conditions, N]``, P(fake).
        judged: bool ``[conditions, N]``, False if the largest face is smaller than the service's minimum; the
            service's other grounds for giving no verdict (no face, turned, cut) are not checked.
    """

    p_fake: NDArray[np.float64]
    judged: NDArray[np.bool_]


def stratified_subset(samples: Sequence[Sample], limit: int) -> list[Sample]:
    """Select at most ``limit`` samples per source and class, deterministically."""
    strata: dict[tuple[str, str], list[Sample]] = {}
    for sample in sorted(samples, key=lambda sample: sample.sha256):
        strata.setdefault((sample.source, sample.label), []).append(sample)
    return [sample for _, stratum in sorted(strata.items()) for sample in stratum[:limit]]


def robustness(
    engine: Engine, samples: Sequence[Sample], conditions: Sequence[Condition] = CONDITIONS
) -> dict[str, Any]:
    """Compute metrics and verdict flip rates of the samples under every condition.

    Args:
        engine: the loaded model.
        samples: pictures.
        conditions: the first leaves pictures unchanged; the conditions of the grid must be included.

    Returns:
        ``images``, their number; ``conditions``, each with pooled metrics and the AUC of every
        source; and ``flips``: the share of verdicts that differ from the unchanged picture's, by
        quality and scale, and over the whole grid with its interval. If the face of either picture
        is too small for a verdict, the pair is excluded from ``rate`` and ``grid``; ``unjudged`` is
        the share of such pairs, and ``rate_with_unjudged`` the rate that includes them.
    """
    observations = observe(engine, samples, conditions)
    truth, spec, p_fake = is_fake(samples), engine.spec, observations.p_fake
    verdict = _verdicts(p_fake, spec)
    changed, compared = verdict != verdict[0], observations.judged & observations.judged[0]
    sources = np.array([sample.source for sample in samples])
    rows = [
        {
            "kind": condition.kind,
            "name": condition.name,
            **_condition_metrics(truth, p_fake[column], verdict[column]),
            "flipped": _share(changed[column], compared[column]),
            "sources": {str(s): _auc(truth[sources == s], p_fake[column][sources == s]) for s in sorted(set(sources))},
        }
        for column, condition in enumerate(conditions)
    ]
    grid = [column for column, condition in enumerate(conditions) if condition.kind == "grid"]
    return {"images": len(samples), "conditions": rows, "flips": _flips(verdict, changed, compared, grid)}


def _flips(
    verdict: NDArray[np.int8], changed: NDArray[np.bool_], compared: NDArray[np.bool_], grid: list[int]
) -> dict[str, Any]:
    rate = _share(changed[grid], compared[grid])
    pictures = int(compared[grid].any(axis=0).sum())
    reversed_verdicts = (verdict[grid] + verdict[0] == 0) & (verdict[0] != 0)
    return {
        "rate": rate,
        # The nine variants of one picture are not independent, so the interval counts pictures.
        "interval": list(wilson(round(rate * pictures), pictures)) if rate is not None else [0.0, 1.0],
        "rate_with_unjudged": float(changed[grid].mean()),
        "unjudged": float(1 - compared[grid].mean()),
        "between_real_and_fake": _share(reversed_verdicts, compared[grid]),
        "qualities": list(QUALITIES),
        "scales": list(SCALES),
        "grid": [
            [_share(changed[column], compared[column]) for column in grid[start : start + len(SCALES)]]
            for start in range(0, len(grid), len(SCALES))
        ],
    }


def _share(changed: NDArray[np.bool_], compared: NDArray[np.bool_]) -> float | None:
    """Return the share of the compared verdicts that changed; None if no pair was compared."""
    return float(changed[compared].mean()) if compared.any() else None


def observe(engine: Engine, samples: Sequence[Sample], conditions: Sequence[Condition]) -> Observations:
    """Score every sample under every condition, and check the size of its face."""
    preprocessing = engine.spec.preprocessing

    def variants(sample: Sample) -> tuple[NDArray[np.uint8], list[bool]]:
        rgb = decode(sample_bytes(sample), SCAN_LIMITS, engine.spec.exif_policy).rgb
        seed = int(sample.sha256[:8], 16)
        tensors, judged = [], []
        for condition in conditions:
            picture = degrade(rgb, condition, seed)
            faces = face_finder().find(picture, 1)
            decoded = DecodedImage("RAW", picture.width, picture.height, picture)
            tensors.append(to_tensor(decoded, preprocessing, frame(picture, preprocessing, faces)))
            judged.append(not faces or faces[0].side >= MIN_FACE)
        return np.stack(tensors), judged

    p_fake, judged = [], []
    chunks = [samples[start : start + _CHUNK] for start in range(0, len(samples), _CHUNK)]
    with ThreadPoolExecutor(_THREADS) as pool:
        for chunk in track(chunks, f"robustness of {engine.spec.name}", total=len(chunks)):
            for tensors, flags in pool.map(variants, chunk):
                p_fake.append(calibrated(engine.logits(tensors), engine.spec))
                judged.append(flags)
    return Observations(np.stack(p_fake, axis=1), np.array(judged).T)


def _verdicts(p_fake: NDArray[np.float64], spec: ModelSpec) -> NDArray[np.int8]:
    """Return -1 for real, 0 for uncertain, 1 for fake."""
    verdict: NDArray[np.int8] = np.where(
        p_fake >= spec.threshold_fake, 1, np.where(p_fake <= spec.threshold_real, -1, 0)
    )
    return verdict.astype(np.int8)


def _condition_metrics(
    truth: NDArray[np.bool_], p_fake: NDArray[np.float64], verdict: NDArray[np.int8]
) -> dict[str, Any]:
    return {
        "roc_auc": _auc(truth, p_fake),
        "real_called_fake": float((verdict[~truth] == 1).mean()) if not truth.all() else None,
        "fake_called_real": float((verdict[truth] == -1).mean()) if truth.any() else None,
        "uncertain": float((verdict == 0).mean()),
    }


def _auc(truth: NDArray[np.bool_], p_fake: NDArray[np.float64]) -> float | None:
    return float(roc_auc_score(truth, p_fake)) if truth.any() and not truth.all() else None

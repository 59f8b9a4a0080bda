"""Aggregate a face's probabilities over all frames into one verdict with an interval.

The aggregate is the median of the log-odds, which is robust to a few blurred or hidden frames. Its interval comes from
order statistics, which assume no distribution (Conover 1999, section 3.2). Neighbouring frames are similar, so the
interval measures how steady the model is on this face, not how often it is wrong on such faces.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from service.contract.spec import ModelSpec
from service.contract.verdict.calibration import Verdict, decide
from service.video.video_reasons import MIN_JUDGED_FRAMES, VideoReason

_ALPHA: Final = 0.05
_MAX_LOG_ODDS: Final = 700.0


@dataclass(frozen=True, slots=True)
class Aggregate:
    """Verdict over several frames.

    Attributes:
        verdict: verdict on the median P(fake); None if no frame could be judged.
        interval: 95 % interval of P(fake), low and high; None for too few frames.
        reasons: reasons for the verdict.
    """

    verdict: Verdict | None
    interval: tuple[float, float] | None
    reasons: tuple[VideoReason, ...]


def aggregate(p_fake: Sequence[float], spec: ModelSpec) -> Aggregate:
    """Return the verdict on one face.

    Args:
        p_fake: calibrated P(fake) in each frame in which the face was judged.
        spec: spec of the model.
    """
    if not p_fake:
        return Aggregate(None, None, ("none_judged",))
    log_odds = sorted(_log_odds(p) for p in p_fake)
    count = len(log_odds)
    median = (log_odds[(count - 1) // 2] + log_odds[count // 2]) / 2
    verdict = decide(_probability(median), spec.threshold_real, spec.threshold_fake)
    if count < MIN_JUDGED_FRAMES:
        return Aggregate(verdict.as_uncertain(), None, ("few_frames",))
    edge = _edge(count)
    low, high = _probability(log_odds[edge]), _probability(log_odds[count - 1 - edge])
    if verdict.verdict == "uncertain":
        return Aggregate(verdict, (low, high), ("between_thresholds",))
    if (verdict.verdict == "fake" and low <= spec.threshold_real) or (
        verdict.verdict == "real" and high >= spec.threshold_fake
    ):
        return Aggregate(verdict.as_uncertain(), (low, high), ("unsteady",))
    return Aggregate(verdict, (low, high), ())


def _edge(count: int) -> int:
    """Return how many of ``count`` sorted values lie outside the median's interval on each side."""
    edge, cumulative = -1, 0
    while 2 * (cumulative := cumulative + math.comb(count, edge + 1)) <= _ALPHA * 2**count:
        edge += 1
    return edge


def _log_odds(p: float) -> float:
    if 0.0 < p < 1.0:
        return math.log(p) - math.log1p(-p)
    return _MAX_LOG_ODDS if p else -_MAX_LOG_ODDS


def _probability(log_odds: float) -> float:
    return 1 / (1 + math.exp(-log_odds)) if log_odds >= 0 else math.exp(log_odds) / (1 + math.exp(log_odds))

"""Aggregate: from a face's probability in every frame to one, with an interval, and a verdict.

The median of the log-odds, which a few blurred or hidden frames do not move; its interval by order statistics, which
assumes nothing of how they are distributed (Conover 1999, section 3.2). Neighbouring frames are alike, so that the
interval tells how steady the model is on this face, not how often it is wrong on such faces.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from service.contract.spec import ModelSpec
from service.contract.verdict.calibration import Verdict, decide
from service.video.video_reasons import FEWEST, VideoReason

_OUTSIDE: Final = 0.05
_MOST_ODDS: Final = 700.0


@dataclass(frozen=True, slots=True)
class Aggregate:
    """What several frames say together.

    Attributes:
        verdict: with the median P(fake); None where no frame could be judged.
        interval: of P(fake), 95 %, low and high; None of too few frames.
        reasons: for the verdict.
    """

    verdict: Verdict | None
    interval: tuple[float, float] | None
    reasons: tuple[VideoReason, ...]


def aggregate(p_fake: Sequence[float], spec: ModelSpec) -> Aggregate:
    """Return the verdict on one face.

    Args:
        p_fake: calibrated, of each frame that it was judged in.
        spec: of the model.
    """
    if not p_fake:
        return Aggregate(None, None, ("none_judged",))
    odds = sorted(_log_odds(p) for p in p_fake)
    count = len(odds)
    middle = (odds[(count - 1) // 2] + odds[count // 2]) / 2
    verdict = decide(_probability(middle), spec.threshold_real, spec.threshold_fake)
    if count < FEWEST:
        return Aggregate(verdict.as_uncertain(), None, ("few_frames",))
    edge = _edge(count)
    low, high = _probability(odds[edge]), _probability(odds[count - 1 - edge])
    if verdict.verdict == "uncertain":
        return Aggregate(verdict, (low, high), ("between_thresholds",))
    if (verdict.verdict == "fake" and low <= spec.threshold_real) or (
        verdict.verdict == "real" and high >= spec.threshold_fake
    ):
        return Aggregate(verdict.as_uncertain(), (low, high), ("unsteady",))
    return Aggregate(verdict, (low, high), ())


def _edge(count: int) -> int:
    """Return how many of ``count`` sorted values lie outside the interval of their median on either side."""
    edge, below = -1, 0
    while 2 * (below := below + math.comb(count, edge + 1)) <= _OUTSIDE * 2**count:
        edge += 1
    return edge


def _log_odds(p: float) -> float:
    if 0.0 < p < 1.0:
        return math.log(p) - math.log1p(-p)
    return _MOST_ODDS if p else -_MOST_ODDS


def _probability(odds: float) -> float:
    return 1 / (1 + math.exp(-odds)) if odds >= 0 else math.exp(odds) / (1 + math.exp(odds))

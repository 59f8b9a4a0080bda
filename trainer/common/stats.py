"""Statistics of a detector: intervals, expected calibration error, figures at an operating point."""

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom, norm

Interval = tuple[float, float]
Z = float(norm.ppf(0.975))
ECE_BINS = 15
RESAMPLES = 200


def wilson(hits: int, total: int) -> Interval:
    """Return the 95 % interval of a share (Wilson 1927); (0, 1) where nothing was counted."""
    if total == 0:
        return 0.0, 1.0
    share = hits / total
    centre = (share + Z**2 / (2 * total)) / (1 + Z**2 / total)
    half = Z / (1 + Z**2 / total) * math.sqrt(share * (1 - share) / total + Z**2 / (4 * total**2))
    low, high = max(0.0, centre - half), min(1.0, centre + half)
    return (0.0 if hits == 0 else low), (1.0 if hits == total else high)


def quantile_interval(scores: NDArray[np.float64], share: float) -> Interval:
    """Return the 95 % interval of the value that this share of scores in [0, 1] exceeds, by order statistics.

    Distribution-free (Clopper and Pearson's limits for a quantile); 1 or 0 where too few scores
    reach beyond it.
    """
    ranked = np.sort(scores)[::-1]
    fewest, most = (int(rank) for rank in binom.ppf([0.025, 0.975], len(ranked), share))
    high = 1.0 if fewest == 0 else float(ranked[fewest - 1])
    return (float(ranked[most]) if most < len(ranked) else 0.0), high


def auc_interval(area: float, negatives: float, positives: float) -> Interval:
    """Return the 95 % interval of an area under the ROC curve (Hanley and McNeil 1982)."""
    one, two = area / (2 - area), 2 * area**2 / (1 + area)
    variance = area * (1 - area) + (positives - 1) * (one - area**2) + (negatives - 1) * (two - area**2)
    half = Z * math.sqrt(max(0.0, variance) / max(1.0, positives * negatives))
    return max(0.0, area - half), min(1.0, area + half)


def bootstrap(
    figures: Callable[[NDArray[np.bool_], NDArray[np.float64]], Sequence[float]],
    truth: NDArray[np.bool_],
    p_fake: NDArray[np.float64],
    seed: int = 0,
) -> list[Interval]:
    """Return 95 % percentile intervals of several figures over 200 resamples, drawn within each class.

    Args:
        figures: of truth and scores.
        truth: bool ``[N]``, True for fake.
        p_fake: float64 ``[N]``.
        seed: of the resampling.
    """
    rng = np.random.default_rng(seed)
    # In the order of their scores, so that the order of the files does not matter.
    by_class = (np.flatnonzero(truth), np.flatnonzero(~truth))
    classes = [rows[np.argsort(p_fake[rows], kind="stable")] for rows in by_class if len(rows)]
    found = []
    for _ in range(RESAMPLES):
        rows = np.concatenate([rng.choice(of_class, len(of_class)) for of_class in classes])
        found.append(figures(truth[rows], p_fake[rows]))
    low, high = np.percentile(np.array(found), [2.5, 97.5], axis=0)
    return [(float(one), float(other)) for one, other in zip(low, high, strict=True)]


def expected_calibration_error(truth: NDArray[np.bool_], p_fake: NDArray[np.float64], bins: int = ECE_BINS) -> float:
    """Return the ECE of P(fake): the mean gap of predicted and observed share, over equal-width bins.

    Naeini et al. 2015; the binary form, so a gap on either side of .5 counts.

    Args:
        truth: bool ``[N]``, True for fake.
        p_fake: float64 ``[N]`` in [0, 1].
        bins: how many.
    """
    return float(sum(abs(row[1] - row[2]) * row[0] for row in reliability(truth, p_fake, bins)) / len(truth))


def reliability(
    truth: NDArray[np.bool_], p_fake: NDArray[np.float64], bins: int = ECE_BINS
) -> list[tuple[int, float, float]]:
    """Return, for each bin that holds any, how many pictures, their mean P(fake), and the share of fakes."""
    number = np.minimum((p_fake * bins).astype(int), bins - 1)
    return [
        (int(here.sum()), float(p_fake[here].mean()), float(truth[here].mean()))
        for here in (number == index for index in range(bins))
        if here.any()
    ]


def found_at(truth: NDArray[np.bool_], p_fake: NDArray[np.float64], false_alarms: float) -> float:
    """Return the largest share of fakes found (TPR) with at most this share of real faces flagged (FPR)."""
    real = np.sort(p_fake[~truth])[::-1]
    allowed = int(false_alarms * len(real))
    if allowed >= len(real):
        return 1.0
    return float((p_fake[truth] > real[allowed]).mean())

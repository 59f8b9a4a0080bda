"""Statistics of a detector: confidence intervals, expected calibration error, TPR at a given FPR."""

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
    """Return the 95 % confidence interval of a share (Wilson 1927); (0, 1) if ``total`` is 0."""
    if total == 0:
        return 0.0, 1.0
    share = hits / total
    centre = (share + Z**2 / (2 * total)) / (1 + Z**2 / total)
    half = Z / (1 + Z**2 / total) * math.sqrt(share * (1 - share) / total + Z**2 / (4 * total**2))
    low, high = max(0.0, centre - half), min(1.0, centre + half)
    return (0.0 if hits == 0 else low), (1.0 if hits == total else high)


def quantile_interval(scores: NDArray[np.float64], share: float) -> Interval:
    """Return the 95 % confidence interval of the value that ``share`` of the scores exceed.

    The interval is distribution-free, from order statistics (Clopper and Pearson's limits for a quantile). Scores are
    in [0, 1]; a limit is 1 or 0 if there are too few scores beyond it.
    """
    ranked = np.sort(scores)[::-1]
    low_rank, high_rank = (int(rank) for rank in binom.ppf([0.025, 0.975], len(ranked), share))
    high = 1.0 if low_rank == 0 else float(ranked[low_rank - 1])
    return (float(ranked[high_rank]) if high_rank < len(ranked) else 0.0), high


def auc_interval(area: float, negatives: float, positives: float) -> Interval:
    """Return the 95 % confidence interval of an area under the ROC curve (Hanley and McNeil 1982)."""
    q1, q2 = area / (2 - area), 2 * area**2 / (1 + area)
    variance = area * (1 - area) + (positives - 1) * (q1 - area**2) + (negatives - 1) * (q2 - area**2)
    half = Z * math.sqrt(max(0.0, variance) / max(1.0, positives * negatives))
    return max(0.0, area - half), min(1.0, area + half)


def bootstrap(
    figures: Callable[[NDArray[np.bool_], NDArray[np.float64]], Sequence[float]],
    truth: NDArray[np.bool_],
    p_fake: NDArray[np.float64],
    seed: int = 0,
) -> list[Interval]:
    """Return 95 % percentile intervals of several metrics over 200 resamples, drawn within each class.

    Args:
        figures: function of truth and scores that returns the metrics.
        truth: bool ``[N]``, True for fake.
        p_fake: float64 ``[N]``.
        seed: seed of the resampling.
    """
    rng = np.random.default_rng(seed)
    # Sorted by score, so that the order of the files does not matter.
    by_class = (np.flatnonzero(truth), np.flatnonzero(~truth))
    classes = [rows[np.argsort(p_fake[rows], kind="stable")] for rows in by_class if len(rows)]
    resampled = []
    for _ in range(RESAMPLES):
        rows = np.concatenate([rng.choice(of_class, len(of_class)) for of_class in classes])
        resampled.append(figures(truth[rows], p_fake[rows]))
    low, high = np.percentile(np.array(resampled), [2.5, 97.5], axis=0)
    return [(float(lower), float(upper)) for lower, upper in zip(low, high, strict=True)]


def expected_calibration_error(truth: NDArray[np.bool_], p_fake: NDArray[np.float64], bins: int = ECE_BINS) -> float:
    """Return the ECE of P(fake): the mean gap between predicted and observed share over equal-width bins.

    This is the binary form of Naeini et al. 2015, so gaps on both sides of 0.5 count.

    Args:
        truth: bool ``[N]``, True for fake.
        p_fake: float64 ``[N]`` in [0, 1].
        bins: number of bins.
    """
    return float(sum(abs(row[1] - row[2]) * row[0] for row in reliability(truth, p_fake, bins)) / len(truth))


def reliability(
    truth: NDArray[np.bool_], p_fake: NDArray[np.float64], bins: int = ECE_BINS
) -> list[tuple[int, float, float]]:
    """Return the number of pictures, mean P(fake) and share of fakes of each non-empty bin."""
    bin_indices = np.minimum((p_fake * bins).astype(int), bins - 1)
    return [
        (int(in_bin.sum()), float(p_fake[in_bin].mean()), float(truth[in_bin].mean()))
        for in_bin in (bin_indices == index for index in range(bins))
        if in_bin.any()
    ]


def tpr_at_fpr(truth: NDArray[np.bool_], p_fake: NDArray[np.float64], false_positive_rate: float) -> float:
    """Return the highest true positive rate (TPR) at a false positive rate (FPR) of at most the given value."""
    real = np.sort(p_fake[~truth])[::-1]
    max_false_positives = int(false_positive_rate * len(real))
    if max_false_positives >= len(real):
        return 1.0
    return float((p_fake[truth] > real[max_false_positives]).mean())

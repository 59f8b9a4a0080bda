"""Calibration of a model: temperature scaling and two thresholds, on pictures held out from training."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from service.contract.spec import OutputKind
from service.contract.verdict.calibration import fake_probability
from trainer.common.stats import expected_calibration_error, quantile_interval, wilson

MAX_REAL_CALLED_FAKE = 0.01
MAX_FAKE_CALLED_REAL = 0.05
# With fewer real faces, the quantile of a source is not informative.
MIN_SOURCE_REALS = 50
_LOG_TEMPERATURE = (np.log(0.05), np.log(20.0))


@dataclass(frozen=True, slots=True)
class Calibration:
    """Parameters that turn logits into a verdict; stored in the model's metadata."""

    temperature: float
    threshold_real: float
    threshold_fake: float
    threshold_rule: str
    calibration: dict[str, Any] = field(default_factory=dict)


UNCALIBRATED = Calibration(
    1.0, 0.5, 0.5, "the class with the larger probability wins, as published; no data was held out for calibration"
)


def calibrate(
    logits: NDArray[np.float32],
    truth: NDArray[np.bool_],
    output_kind: OutputKind,
    fake_index: int,
    sources: Sequence[str] = (),
) -> Calibration:
    """Fit the temperature by maximum likelihood, then choose both thresholds on the calibrated scores.

    The fake threshold is the lowest one, but at least 0.5, with a false positive rate of at most 1 % on all real faces
    together and on each source with 50 or more of them: a mean over sources would let easy sources offset a hard one.
    The real threshold is the highest one, but at most 0.5, that calls at most 5 % of the fakes real. So no verdict
    contradicts its probability; scores between the thresholds are ``uncertain``.

    Args:
        logits: float32 ``[N, 2]``.
        truth: bool ``[N]``, True for fake; holds both classes.
        output_kind: how logits become probabilities.
        fake_index: column of the fake class.
        sources: source of each image; default: one source for all.
    """
    temperature = fit_temperature(logits, truth, output_kind, fake_index)
    p_fake = fake_probability(logits, output_kind, fake_index, temperature)
    hardest_source, hardest_scores = _hardest_reals(truth, p_fake, np.array(sources or [""] * len(truth)))
    threshold_fake = min(1.0, max(0.5, _exceeding(hardest_scores, MAX_REAL_CALLED_FAKE)))
    threshold_real = max(0.0, min(0.5, -_exceeding(-p_fake[truth], MAX_FAKE_CALLED_REAL)))
    evidence = {
        "method": "temperature scaling (arXiv:1706.04599)",
        "real": int((~truth).sum()),
        "fake": int(truth.sum()),
        "ece_before": expected_calibration_error(truth, fake_probability(logits, output_kind, fake_index)),
        "ece_after": expected_calibration_error(truth, p_fake),
        # 95 % intervals of the thresholds, given the number of calibration images.
        "threshold_real_interval": [
            min(0.5, limit) for limit in quantile_interval(p_fake[truth], 1 - MAX_FAKE_CALLED_REAL)
        ],
        "threshold_fake_source": hardest_source,
        "threshold_fake_interval": [
            max(0.5, limit) for limit in quantile_interval(hardest_scores, MAX_REAL_CALLED_FAKE)
        ],
        **_share("real_called_fake", p_fake[~truth] >= threshold_fake),
        **_share("fake_called_real", p_fake[truth] <= threshold_real),
    }
    return Calibration(temperature, threshold_real, threshold_fake, _rule(truth), json.loads(json.dumps(evidence)))


def _rule(truth: NDArray[np.bool_]) -> str:
    return (
        f"on {(~truth).sum()} real and {truth.sum()} fake calibration images: the fake threshold calls at most "
        f"{MAX_REAL_CALLED_FAKE:.0%} of the real faces fake, also in each source with {MIN_SOURCE_REALS} or more, "
        f"and is at least 0.5; the real threshold calls at most {MAX_FAKE_CALLED_REAL:.0%} of the fakes real and is "
        "at most 0.5"
    )


def _share(name: str, wrong: NDArray[np.bool_]) -> dict[str, Any]:
    """Return the share of wrong verdicts and its 95 % interval."""
    count = int(wrong.sum())
    return {name: count / len(wrong), f"{name}_interval": wilson(count, len(wrong))}


def _hardest_reals(
    truth: NDArray[np.bool_], p_fake: NDArray[np.float64], sources: NDArray[np.str_]
) -> tuple[str, NDArray[np.float64]]:
    """Return the source whose reals need the highest fake threshold (empty: all sources) and their scores."""
    groups = [("", p_fake[~truth])]
    groups += [(str(source), p_fake[~truth & (sources == source)]) for source in np.unique(sources)]
    large = [group for group in groups if not group[0] or len(group[1]) >= MIN_SOURCE_REALS]
    return max(large, key=lambda group: _exceeding(group[1], MAX_REAL_CALLED_FAKE))


def _exceeding(scores: NDArray[np.float64], share: float) -> float:
    """Return the lowest limit that at most this share of the scores reaches: one float above the first excess score."""
    return float(np.nextafter(np.sort(scores)[::-1][int(share * len(scores))], 2.0))


def fit_temperature(
    logits: NDArray[np.float32], truth: NDArray[np.bool_], output_kind: OutputKind, fake_index: int
) -> float:
    """Return the temperature in [0.05, 20] with the lowest negative log-likelihood (arXiv:1706.04599)."""

    def loss(log_temperature: float) -> float:
        p_fake = fake_probability(logits, output_kind, fake_index, float(np.exp(log_temperature)))
        p_truth = np.where(truth, p_fake, 1.0 - p_fake)
        return float(-np.log(np.maximum(p_truth, 1e-300)).mean())

    return float(np.exp(minimize_scalar(loss, bounds=_LOG_TEMPERATURE, method="bounded").x))

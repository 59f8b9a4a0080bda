"""Calibration: a temperature and two thresholds, on pictures that the network was not fitted to."""

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
# Under so many real faces a source's own quantile says nothing.
SOURCE_AT_LEAST = 50
_LOG_TEMPERATURE = (np.log(0.05), np.log(20.0))


@dataclass(frozen=True, slots=True)
class Calibration:
    """What turns logits into a verdict; the fields go into the model's metadata."""

    temperature: float
    threshold_real: float
    threshold_fake: float
    threshold_rule: str
    calibration: dict[str, Any] = field(default_factory=dict)


UNCALIBRATED = Calibration(
    1.0, 0.5, 0.5, "the larger probability wins, as published; no part of the data was kept for calibration"
)


def calibrate(
    logits: NDArray[np.float32],
    truth: NDArray[np.bool_],
    output_kind: OutputKind,
    fake_index: int,
    sources: Sequence[str] = (),
) -> Calibration:
    """Fit the temperature by likelihood, then place both thresholds on the calibrated scores.

    The fake threshold is the lowest that flags at most 1 % of the real faces, of all together and of every source
    that has 50 of them, but not under .5: a mean over sources would let the easy ones pay for the hard one. The real
    threshold is the highest that passes at most 5 % of the fakes, but not over .5. So no verdict contradicts its own
    probability, and between them lies ``uncertain``.

    Args:
        logits: float32 ``[N, 2]``.
        truth: bool ``[N]``, True for fake; holds both.
        output_kind: how logits become probabilities.
        fake_index: column of the fake class.
        sources: of each image; default: all of one.
    """
    temperature = fit_temperature(logits, truth, output_kind, fake_index)
    p_fake = fake_probability(logits, output_kind, fake_index, temperature)
    real, fake = int((~truth).sum()), int(truth.sum())
    strictest, hardest = _hardest_reals(truth, p_fake, np.array(sources or [""] * len(truth)))
    flags = min(1.0, max(0.5, _beyond(hardest, MAX_REAL_CALLED_FAKE)))
    passes = max(0.0, min(0.5, -_beyond(-p_fake[truth], MAX_FAKE_CALLED_REAL)))
    rule = (
        f"on {real} real and {fake} fake calibration images: fake flags at most "
        f"{MAX_REAL_CALLED_FAKE:.0%} of real faces, and of those of each source with {SOURCE_AT_LEAST} or more, "
        "and is not under .5, real passes at most "
        f"{MAX_FAKE_CALLED_REAL:.0%} of fakes and is not over .5"
    )
    evidence = {
        "method": "temperature scaling (arXiv:1706.04599)",
        "real": real,
        "fake": fake,
        "ece_before": expected_calibration_error(truth, fake_probability(logits, output_kind, fake_index)),
        "ece_after": expected_calibration_error(truth, p_fake),
        # Where the thresholds may lie, as far as these few tell.
        "threshold_real_interval": [
            min(0.5, limit) for limit in quantile_interval(p_fake[truth], 1 - MAX_FAKE_CALLED_REAL)
        ],
        "threshold_fake_source": strictest,
        "threshold_fake_interval": [max(0.5, limit) for limit in quantile_interval(hardest, MAX_REAL_CALLED_FAKE)],
        **_share("real_called_fake", p_fake[~truth] >= flags),
        **_share("fake_called_real", p_fake[truth] <= passes),
    }
    return Calibration(temperature, passes, flags, rule, json.loads(json.dumps(evidence)))


def _share(name: str, wrong: NDArray[np.bool_]) -> dict[str, Any]:
    """Return a share of wrong verdicts with its interval."""
    count = int(wrong.sum())
    return {name: count / len(wrong), f"{name}_interval": wilson(count, len(wrong))}


def _hardest_reals(
    truth: NDArray[np.bool_], p_fake: NDArray[np.float64], sources: NDArray[np.str_]
) -> tuple[str, NDArray[np.float64]]:
    """Return the reals that ask for the highest fake threshold, and of which source they are; empty for all of them."""
    groups = [("", p_fake[~truth])]
    groups += [(str(source), p_fake[~truth & (sources == source)]) for source in np.unique(sources)]
    large = [group for group in groups if not group[0] or len(group[1]) >= SOURCE_AT_LEAST]
    return max(large, key=lambda group: _beyond(group[1], MAX_REAL_CALLED_FAKE))


def _beyond(scores: NDArray[np.float64], share: float) -> float:
    """Return the lowest limit that at most this share of the scores reaches: one step past the first one too many."""
    return float(np.nextafter(np.sort(scores)[::-1][int(share * len(scores))], 2.0))


def fit_temperature(
    logits: NDArray[np.float32], truth: NDArray[np.bool_], output_kind: OutputKind, fake_index: int
) -> float:
    """Return the temperature in [.05, 20] of least negative log-likelihood (arXiv:1706.04599)."""

    def loss(log_temperature: float) -> float:
        p_fake = fake_probability(logits, output_kind, fake_index, float(np.exp(log_temperature)))
        p_truth = np.where(truth, p_fake, 1.0 - p_fake)
        return float(-np.log(np.maximum(p_truth, 1e-300)).mean())

    return float(np.exp(minimize_scalar(loss, bounds=_LOG_TEMPERATURE, method="bounded").x))

"""Calibration: a temperature and two thresholds, chosen on pictures kept for nothing else."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from service.contract.spec import OutputKind
from service.contract.verdict import fake_probability

MAX_REAL_CALLED_FAKE = 0.01
MAX_FAKE_CALLED_REAL = 0.05
_LOG_TEMPERATURE = (np.log(0.05), np.log(20.0))


@dataclass(frozen=True, slots=True)
class Calibration:
    """What turns logits into a verdict; the fields go into the model's metadata."""

    temperature: float
    threshold_real: float
    threshold_fake: float
    threshold_rule: str


UNCALIBRATED = Calibration(
    1.0, 0.5, 0.5, "the larger probability wins, as published; no part of the data was kept for calibration"
)


def calibrate(
    logits: NDArray[np.float32], truth: NDArray[np.bool_], output_kind: OutputKind, fake_index: int
) -> Calibration:
    """Fit the temperature by likelihood, then place both thresholds on the calibrated scores.

    The fake threshold is the lowest that flags at most 1 % of the real faces, but not under .5;
    the real threshold is the highest that passes at most 5 % of the fakes, but not over .5. So no
    verdict contradicts its own probability, and between them lies ``uncertain``.

    Args:
        logits: float32 ``[N, 2]``.
        truth: bool ``[N]``, True for fake; holds both.
        output_kind: how logits become probabilities.
        fake_index: column of the fake class.
    """
    temperature = fit_temperature(logits, truth, output_kind, fake_index)
    p_fake = fake_probability(logits, output_kind, fake_index, temperature)
    real, fake = np.sort(p_fake[~truth])[::-1], np.sort(p_fake[truth])
    # One step past the first score that may no longer be on the wrong side.
    flags = float(np.nextafter(real[int(MAX_REAL_CALLED_FAKE * len(real))], 2.0))
    passes = float(np.nextafter(fake[int(MAX_FAKE_CALLED_REAL * len(fake))], -1.0))
    rule = (
        f"on {len(real)} real and {len(fake)} fake calibration images: fake flags at most "
        f"{MAX_REAL_CALLED_FAKE:.0%} of real faces and is not under .5, real passes at most "
        f"{MAX_FAKE_CALLED_REAL:.0%} of fakes and is not over .5"
    )
    return Calibration(temperature, max(0.0, min(0.5, passes)), min(1.0, max(0.5, flags)), rule)


def fit_temperature(
    logits: NDArray[np.float32], truth: NDArray[np.bool_], output_kind: OutputKind, fake_index: int
) -> float:
    """Return the temperature in [.05, 20] of least negative log-likelihood (arXiv:1706.04599)."""

    def loss(log_temperature: float) -> float:
        p_fake = fake_probability(logits, output_kind, fake_index, float(np.exp(log_temperature)))
        p_truth = np.where(truth, p_fake, 1.0 - p_fake)
        return float(-np.log(np.maximum(p_truth, 1e-300)).mean())

    return float(np.exp(minimize_scalar(loss, bounds=_LOG_TEMPERATURE, method="bounded").x))

"""Compute calibrated probabilities from logits, and verdicts from probabilities."""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from service.contract.spec import ModelSpec, OutputKind

VerdictName = Literal["real", "fake", "uncertain"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """The verdict on one picture.

    Attributes:
        verdict: ``fake`` if P(fake) is at or above the fake threshold, ``real`` if it is at or
            below the real threshold, ``uncertain`` between them.
        confidence: calibrated probability of the class of the verdict; for ``uncertain`` the
            larger of the two. In [0, 1].
        p_real: calibrated probability of a real photo; ``1 - p_fake``.
        p_fake: calibrated probability of an AI-generated face.
    """

    verdict: VerdictName
    confidence: float
    p_real: float
    p_fake: float

    def as_uncertain(self) -> "Verdict":
        """Return the verdict ``uncertain`` with the same probabilities."""
        return replace(self, verdict="uncertain", confidence=max(self.p_real, self.p_fake))


def fake_probability(
    logits: NDArray[np.floating], output_kind: OutputKind, fake_index: int, temperature: float = 1.0
) -> NDArray[np.float64]:
    """Return the calibrated P(fake) of each row, from :func:`log_odds`, in float64 without overflow.

    Args:
        logits: ``[N, 2]``, any real values.
        output_kind: ``softmax`` or ``sigmoid``.
        fake_index: column of the fake class, 0 or 1.
        temperature: above 0; 1 leaves the logits unchanged.

    Returns:
        float64 ``[N]`` in [0, 1].

    Raises:
        ValueError: the shape is not ``[N, 2]``, or a logit is NaN or infinite.
    """
    margin = log_odds(logits, output_kind, fake_index, temperature)
    return np.asarray(np.exp(-np.logaddexp(0.0, -margin)), dtype=np.float64)


def log_odds(
    logits: NDArray[np.floating], output_kind: OutputKind, fake_index: int, temperature: float = 1.0
) -> NDArray[np.float64]:
    """Return log(P(fake) / P(real)) of each row, calibrated, float64.

    Two sigmoids score the classes independently, so they are normalised to sum to 1, which keeps
    the argmax of the published models. Temperature scaling: Guo et al. 2017, arXiv:1706.04599.

    Args:
        logits: ``[N, 2]``, any real values.
        output_kind: ``softmax`` or ``sigmoid``.
        fake_index: column of the fake class, 0 or 1.
        temperature: above 0; 1 leaves the logits unchanged.

    Raises:
        ValueError: the shape is not ``[N, 2]``, or a logit is NaN or infinite.
    """
    scaled = np.asarray(logits, dtype=np.float64)
    if scaled.ndim != 2 or scaled.shape[1] != 2:
        raise ValueError(f"logits have shape {scaled.shape}, not [N, 2]")
    if not np.isfinite(scaled).all():
        raise ValueError("logits contain NaN or infinity")
    scaled = scaled / temperature
    if output_kind == "sigmoid":
        scaled = -np.logaddexp(0.0, -scaled)  # log of the sigmoid; its softmax normalises the pair
    return np.asarray(scaled[:, fake_index] - scaled[:, 1 - fake_index], dtype=np.float64)


def decide(p_fake: float, threshold_real: float, threshold_fake: float) -> Verdict:
    """Apply both thresholds to one calibrated P(fake); monotone in ``p_fake``."""
    p_real = 1.0 - p_fake
    if p_fake >= threshold_fake:
        return Verdict("fake", p_fake, p_real, p_fake)
    if p_fake <= threshold_real:
        return Verdict("real", p_real, p_real, p_fake)
    return Verdict("uncertain", max(p_real, p_fake), p_real, p_fake)


def verdicts(logits: NDArray[np.floating], spec: ModelSpec) -> list[Verdict]:
    """Return one verdict per row of ``logits`` (``[N, 2]``), with the temperature and thresholds of the spec.

    Raises:
        ValueError: see :func:`fake_probability`.
    """
    scores = fake_probability(logits, spec.output_kind, spec.fake_index, spec.temperature)
    return [decide(float(p), spec.threshold_real, spec.threshold_fake) for p in scores]

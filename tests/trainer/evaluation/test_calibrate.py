"""Temperature and thresholds against hand-made truths."""

import numpy as np
import pytest

from service.contract.verdict.calibration import fake_probability
from trainer.evaluation.calibrate import calibrate, fit_temperature


def overconfident(count: int, temperature: float) -> tuple[np.ndarray, np.ndarray]:
    """Make logits whose probabilities hold once divided by ``temperature``."""
    rng = np.random.default_rng(0)
    margin = rng.normal(0, 2, count)
    truth = rng.random(count) < 1 / (1 + np.exp(-margin))
    return np.stack([np.zeros(count), margin * temperature], axis=1).astype(np.float32), truth


def test_temperature_scaling_recovers_a_known_temperature():
    logits, truth = overconfident(20_000, 3.0)
    assert fit_temperature(logits, truth, "softmax", 1) == pytest.approx(3.0, rel=0.05)


def test_thresholds_keep_their_promise_on_the_calibration_part():
    logits, truth = overconfident(5000, 2.0)
    chosen = calibrate(logits, truth, "softmax", 1)
    p_fake = fake_probability(logits, "softmax", 1, chosen.temperature)
    assert 0.005 < (p_fake[~truth] >= chosen.threshold_fake).mean() <= 0.01
    assert 0.045 < (p_fake[truth] <= chosen.threshold_real).mean() <= 0.05
    assert chosen.threshold_real <= 0.5 <= chosen.threshold_fake


def test_fake_threshold_follows_hard_but_not_small_sources():
    """Every real face of the hard source scores higher than those of the easy one, which has ten times as many."""
    rng = np.random.default_rng(0)
    truth = np.arange(2000) >= 1100
    logits = np.zeros((2000, 2), np.float32)
    logits[:, 1] = np.where(truth, rng.normal(6, 1, 2000), rng.normal(-6, 1, 2000))
    logits[1000:1100, 1] = rng.normal(2, 1, 100)
    sources = ["easy"] * 1000 + ["hard"] * 100 + ["fakes"] * 900
    blind, fair = calibrate(logits, truth, "softmax", 1), calibrate(logits, truth, "softmax", 1, sources)
    scores = fake_probability(logits, "softmax", 1, fair.temperature)
    assert (scores[1000:1100] >= blind.threshold_fake).mean() > 0.05
    assert (scores[1000:1100] >= fair.threshold_fake).mean() <= 0.01
    assert fair.threshold_real == blind.threshold_real
    assert (blind.calibration["threshold_fake_source"], fair.calibration["threshold_fake_source"]) == ("", "hard")
    low, high = fair.calibration["threshold_fake_interval"]
    assert low <= fair.threshold_fake <= high
    few = ["easy"] * 1060 + ["hard"] * 40 + ["fakes"] * 900
    assert calibrate(logits, truth, "softmax", 1, few).threshold_fake < fair.threshold_fake


def test_perfect_model_gets_consistent_thresholds():
    logits = np.array([[9.0, -9.0]] * 50 + [[-9.0, 9.0]] * 50, np.float32)
    chosen = calibrate(logits, np.arange(100) >= 50, "softmax", 1)
    assert (chosen.threshold_real, chosen.threshold_fake) == (0.5, 0.5)


@pytest.mark.parametrize("count", [1, 3])
def test_a_tiny_calibration_part_still_gives_valid_thresholds(count):
    logits = np.array([[0.0, -1.0]] * count + [[0.0, 1.0]] * count, np.float32)
    chosen = calibrate(logits, np.arange(2 * count) >= count, "sigmoid", 1)
    assert 0 <= chosen.threshold_real <= chosen.threshold_fake <= 1

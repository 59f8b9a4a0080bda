"""Figures against hand-made truths."""

import numpy as np
import pytest

from trainer.common.stats import bootstrap, expected_calibration_error, wilson
from trainer.evaluation.evaluate import figures


def test_figures_of_a_hand_made_case():
    truth = np.array([False, False, False, True, True, True])
    p_fake = np.array([0.1, 0.4, 0.95, 0.9, 0.6, 0.2])
    result = figures(truth, p_fake, threshold_real=0.3, threshold_fake=0.8)
    assert result["confusion_matrix"] == [[2, 1], [1, 2]]
    assert result["accuracy"] == result["precision"] == result["recall"] == result["f1"] == pytest.approx(2 / 3)
    assert result["roc_auc"] == pytest.approx(5 / 9)
    assert result["real_called_fake"] == result["fake_called_real"] == pytest.approx(1 / 3)
    assert result["uncertain"] == pytest.approx(2 / 6)


@pytest.mark.parametrize("fake", [True, False])
def test_a_set_of_one_class_says_none_where_it_cannot_tell(fake):
    result = figures(np.array([fake] * 4), np.array([0.1, 0.2, 0.9, 0.8]), 0.3, 0.7)
    assert result["roc_auc"] is None
    assert result["precision"] is None
    assert (result["real_called_fake"] is None) == fake
    assert (result["fake_called_real"] is None) != fake
    assert result["accuracy"] == 0.5


def test_intervals_of_a_perfect_model_are_not_without_width():
    """Resampling a perfect AUC gives 1 each time; Wilson's interval of the smaller class bounds it instead."""
    truth = np.arange(40) < 10
    p_fake = np.where(truth, 0.9, 0.1)
    result = figures(truth, p_fake, 0.3, 0.8)
    low, _ = wilson(10, 10)
    for key in ("roc_auc", "average_precision", "balanced_accuracy"):
        assert (result[key], result["intervals"][key]) == (1.0, [low, 1.0])
    assert result["intervals"]["tpr_at_fpr_01"] == [low, 1.0]
    assert result["intervals"]["real_called_fake"] == list(wilson(0, 30))
    assert result["intervals"]["fake_called_real"] == list(wilson(0, 10))
    assert result["intervals"]["accuracy"] == list(wilson(40, 40))
    # Every resample has the same error, 0.1, so that reflection leaves the interval without width.
    assert result["ece"] == pytest.approx(0.1)
    assert result["intervals"]["ece"] == pytest.approx([0.1, 0.1])


def test_interval_of_the_calibration_error_is_reflected():
    """Resampling raises the ECE, so that its plain interval lies above the estimate."""
    rng = np.random.default_rng(0)
    p_fake = rng.uniform(0, 1, 400)
    truth = rng.uniform(0, 1, 400) < p_fake
    result = figures(truth, p_fake, 0.3, 0.8)
    low, high = result["intervals"]["ece"]
    assert 0 <= low <= result["ece"] <= high
    (raw_low, raw_high) = bootstrap(lambda t, p: (expected_calibration_error(t, p),), truth, p_fake)[0]
    assert low == pytest.approx(max(0.0, 2 * result["ece"] - raw_high))
    assert high == pytest.approx(max(result["ece"], 2 * result["ece"] - raw_low))

"""Statistics against values worked out elsewhere."""

import numpy as np
import pytest

from trainer.common.stats import (
    auc_interval,
    bootstrap,
    expected_calibration_error,
    quantile_interval,
    reliability,
    tpr_at_fpr,
    wilson,
)


def test_wilson_gives_the_textbook_interval():
    assert wilson(1, 10) == pytest.approx((0.0179, 0.4042), abs=1e-4)
    assert wilson(0, 100) == pytest.approx((0.0, 0.0370), abs=1e-4)
    assert wilson(0, 0) == (0.0, 1.0)


def test_hanley_and_mcneil_gives_their_example():
    low, high = auc_interval(0.893, 58, 51)
    assert (high - low) / 2 / 1.96 == pytest.approx(0.032, abs=0.001)


def test_calibration_error_is_0_only_for_calibrated_values():
    rng = np.random.default_rng(0)
    p = rng.random(50_000)
    truth = rng.random(50_000) < p
    assert expected_calibration_error(truth, p) < 0.01
    assert expected_calibration_error(truth, np.where(p > 0.5, 1.0, 0.0)) == pytest.approx(0.25, abs=0.01)


def test_reliability_counts_every_picture_once():
    rows = reliability(np.array([True, False, True]), np.array([0.0, 1.0, 1.0]))
    assert rows == [(1, 0.0, 1.0), (2, 1.0, 0.5)]


def test_tpr_at_fpr_never_flags_more_reals_than_allowed():
    rng = np.random.default_rng(1)
    truth = np.arange(2000) % 2 == 1
    p = np.clip(rng.normal(0.4 + 0.2 * truth, 0.15), 0, 1)
    for rate in (0.005, 0.01, 0.1):
        threshold = np.sort(p[~truth])[::-1][int(rate * 1000)]
        assert (p[~truth] > threshold).mean() <= rate
        assert tpr_at_fpr(truth, p, rate) == (p[truth] > threshold).mean()
    assert tpr_at_fpr(truth, p, 1.0) == 1.0


def test_a_quantile_interval_covers_as_often_as_it_says():
    rng = np.random.default_rng(0)
    for count in (60, 160, 490):
        hits = [low <= 0.99 <= high for low, high in (quantile_interval(rng.random(count), 0.01) for _ in range(400))]
        assert np.mean(hits) > 0.93


def test_the_bootstrap_covers_a_mean():
    p = np.random.default_rng(2).random(400)
    ((low, high),) = bootstrap(lambda _, scores: (float(scores.mean()),), np.zeros(400, bool), p)
    assert low < p.mean() < high
    assert high - low == pytest.approx(2 * 1.96 * p.std() / 20, rel=0.2)

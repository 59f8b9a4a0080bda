"""Verdict: calibrated probabilities in float64, and thresholds that mean what they say."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.contract.verdict.calibration import decide, fake_probability, verdicts

finite = st.floats(-1e30, 1e30, allow_subnormal=False)


def test_softmax_matches_the_definition():
    logits = np.array([[1.0, 2.0], [0.0, 0.0]])
    expected = np.exp(logits[:, 1]) / np.exp(logits).sum(axis=1)
    np.testing.assert_allclose(fake_probability(logits, "softmax", 1), expected, rtol=1e-15)


def test_a_sigmoid_pair_is_each_sigmoid_over_their_sum():
    logits = np.array([[1.0, 2.0], [-3.0, 0.5]])
    probabilities = 1 / (1 + np.exp(-logits))
    np.testing.assert_allclose(
        fake_probability(logits, "sigmoid", 1), probabilities[:, 1] / probabilities.sum(axis=1), rtol=1e-14
    )


@pytest.mark.parametrize("kind", ["softmax", "sigmoid"])
def test_large_logits_do_not_overflow(kind):
    """Softmax written by hand overflows at (-100, 1)."""
    with np.errstate(all="raise", under="ignore"):
        scores = fake_probability(np.array([[-100.0, 1.0], [1e30, -1e30], [-1e4, -1e4]]), kind, 1)
    assert scores[0] == pytest.approx(1.0)
    assert scores[1] == 0.0
    assert scores[2] == pytest.approx(0.5)


def test_temperature_divides_the_logits():
    assert fake_probability(np.array([[0.0, 3.0]]), "softmax", 1, 3.0) == fake_probability(
        np.array([[0.0, 1.0]]), "softmax", 1
    )


@pytest.mark.parametrize("bad", [np.array([[np.nan, 0]]), np.array([[0, np.inf]])])
def test_nan_and_infinity_are_errors_never_answers(bad):
    with pytest.raises(ValueError, match="NaN or infinity"):
        fake_probability(bad, "softmax", 1)


@pytest.mark.parametrize("shape", [(2,), (1, 1), (1, 3), (1, 2, 1)])
def test_another_shape_is_refused(shape):
    with pytest.raises(ValueError, match="not \\[N, 2\\]"):
        fake_probability(np.zeros(shape), "softmax", 0)


@given(a=finite, b=finite, kind=st.sampled_from(["softmax", "sigmoid"]), temperature=st.floats(0.05, 20))
def test_probabilities_are_in_0_1_and_swap_with_the_classes(a, b, kind, temperature):
    score = fake_probability(np.array([[a, b]]), kind, 1, temperature)[0]
    mirrored = fake_probability(np.array([[a, b]]), kind, 0, temperature)[0]
    assert 0.0 <= score <= 1.0
    assert score + mirrored == pytest.approx(1.0, abs=1e-12)
    verdict = decide(float(score), 0.2, 0.8)
    assert verdict.p_real + verdict.p_fake == pytest.approx(1.0, abs=1e-15)


@given(st.lists(st.floats(0, 1), min_size=2, max_size=2), st.lists(st.floats(0, 1), min_size=2, max_size=2))
def test_a_higher_score_never_makes_the_verdict_more_real(thresholds, scores):
    order = ["real", "uncertain", "fake"]
    low, high = sorted(thresholds)
    first, second = (order.index(decide(score, low, high).verdict) for score in sorted(scores))
    assert first <= second


def test_thresholds_belong_to_the_verdict_they_name():
    assert decide(0.8, 0.2, 0.8).verdict == "fake"
    assert decide(0.2, 0.2, 0.8).verdict == "real"
    assert decide(0.5, 0.2, 0.8).verdict == "uncertain"


def test_confidence_is_the_probability_of_the_class_named():
    assert decide(0.9, 0.2, 0.8).confidence == 0.9
    assert decide(0.1, 0.2, 0.8).confidence == 0.9
    assert decide(0.3, 0.2, 0.8).confidence == 0.7


def test_a_spec_decides_which_column_is_fake(make_spec):
    logits = np.array([[5.0, -5.0]], dtype=np.float32)
    assert verdicts(logits, make_spec(class_names=("fake", "real")))[0].verdict == "fake"
    assert verdicts(logits, make_spec(class_names=("real", "fake")))[0].verdict == "real"

"""What several frames say together."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.contract.verdict.calibration import decide
from service.contract.verdict.reasons import REASONS
from service.video.aggregate import aggregate
from service.video.video_reasons import MIN_JUDGED_FRAMES, VIDEO_REASONS


def test_the_median_decides_and_a_few_bad_frames_do_not(make_spec):
    spec = make_spec()
    result = aggregate([0.95] * 20 + [0.01] * 4, spec)
    assert (result.verdict.verdict, result.reasons) == ("fake", ())
    assert result.verdict == decide(result.verdict.p_fake, spec.threshold_real, spec.threshold_fake)
    assert result.verdict.p_fake == pytest.approx(0.95)


@pytest.mark.parametrize(
    ("p_fake", "verdict", "reasons"),
    [
        ([], "uncertain", ("none_judged",)),
        ([0.99] * (MIN_JUDGED_FRAMES - 1), "uncertain", ("few_frames",)),
        ([0.99] * MIN_JUDGED_FRAMES, "fake", ()),
        ([0.5] * 20, "uncertain", ("between_thresholds",)),
        ([0.01] * 11 + [0.99] * 12, "uncertain", ("unsteady",)),
        ([0.0] * 20, "real", ()),
        ([1.0] * 20, "fake", ()),
    ],
)
def test_what_is_too_few_or_too_unsteady_has_no_verdict(make_spec, p_fake, verdict, reasons):
    result = aggregate(p_fake, make_spec())
    assert result.reasons == reasons
    if not p_fake:
        assert result.verdict is None
        return
    assert result.verdict.verdict == verdict
    assert result.verdict.p_fake + result.verdict.p_real == pytest.approx(1)


def test_the_interval_holds_the_median_as_often_as_it_says(make_spec):
    draw = np.random.default_rng(0)
    spec, held = make_spec(), 0
    for _ in range(1000):
        odds = draw.exponential(1.0, 32) - np.log(2)  # their median is 0
        low, high = aggregate((1 / (1 + np.exp(-odds))).tolist(), spec).interval
        held += low <= 0.5 <= high
    assert 0.94 <= held / 1000 <= 1.0


@given(st.lists(st.floats(0, 1), min_size=MIN_JUDGED_FRAMES, max_size=60))
def test_the_interval_lies_around_the_median(make_spec, p_fake):
    result = aggregate(p_fake, make_spec())
    low, high = result.interval
    assert 0 <= low <= result.verdict.p_fake + 1e-9
    assert result.verdict.p_fake - 1e-9 <= high <= 1


def test_reasons_that_videos_share_with_pictures_have_one_name():
    assert set(VIDEO_REASONS) & set(REASONS) == {"no_face", "several_faces", "between_thresholds"}

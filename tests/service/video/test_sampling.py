"""Which frames of a video are scored."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.video.sampling import Coded, seconds, targets


@given(st.sets(st.integers(-1000, 10_000), min_size=1, max_size=300), st.integers(1, 50), st.randoms())
def test_frames_are_evenly_spaced_and_follow_a_key_frame(times, samples, random):
    coded = [Coded(time, random.random() < 0.1) for time in times]
    random.shuffle(coded)
    chosen = targets(coded, samples)
    order = sorted(times)
    assert len(chosen) == min(samples, len(times))
    assert [target.time for target in chosen] == sorted({target.time for target in chosen})
    keys = [frame.time for frame in coded if frame.key]
    for number, target in enumerate(chosen):
        assert order[target.index] == target.time
        assert number * len(order) // len(chosen) <= target.index < -(-(number + 1) * len(order) // len(chosen))
        assert target.begin == max((key for key in keys if key <= target.time), default=None)


def test_a_video_lasts_as_long_as_its_frames():
    assert seconds([Coded(tick, False) for tick in range(0, 240, 10)], 0.01) == pytest.approx(2.4)
    assert seconds([Coded(5, True)], 0.01) == 0.0

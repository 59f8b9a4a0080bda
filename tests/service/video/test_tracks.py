"""Which frames are looked at, which faces are one, and what several frames say together."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.contract.faces.face import Face
from service.contract.verdict.calibration import decide
from service.contract.verdict.reasons import REASONS
from service.video.aggregate import aggregate
from service.video.sampling import Coded, seconds, targets
from service.video.tracks import follow, scene
from service.video.video_limits import container_of
from service.video.video_reasons import MIN_JUDGED_FRAMES, VIDEO_REASONS

STILL = np.zeros((9, 16))


@given(st.sets(st.integers(-1000, 10_000), min_size=1, max_size=300), st.integers(1, 50), st.randoms())
def test_frames_are_chosen_evenly_in_order_and_from_a_key_frame_before_each(times, samples, random):
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


def test_a_face_is_followed_past_others_and_gaps():
    left = [Face(10 + 15 * step, 10, 50, 60, 0.9) for step in range(6)]
    right = [Face(300 - 10 * step, 20, 60, 70, 0.9) for step in range(6)]
    frames = [[right[0], left[0]], [left[1], right[1]], [left[2]], [left[3], right[3]], [right[4], left[4]], []]
    tracks = follow(frames, [STILL] * 6)
    assert [track.seen for track in tracks] == [
        [(0, 0), (1, 1), (3, 1), (4, 0)],
        [(0, 1), (1, 0), (2, 0), (3, 0), (4, 1)],
    ]


def test_another_scene_or_a_face_of_another_size_is_another_face():
    face = Face(10, 10, 50, 60, 0.9)
    assert len(follow([[face], [face]], [STILL, STILL])) == 1
    assert len(follow([[face], [face]], [STILL, STILL + 0.5])) == 2
    assert len(follow([[face], [Face(0, 0, 400, 480, 0.9)]], [STILL, STILL])) == 2


def test_a_scene_is_its_coarse_grey_values():
    pixels = np.zeros((480, 640, 3), np.uint8)
    pixels[:, 320:] = 255
    found = scene(pixels)
    assert found.shape == (9, 16)
    assert found[:, :8].max() == 0
    assert found[:, 8:].min() == 1
    assert scene(np.full((9, 16, 3), 51, np.uint8)) == pytest.approx(0.2)


def test_the_median_decides_and_a_few_bad_frames_do_not(make_spec):
    spec = make_spec()
    found = aggregate([0.95] * 20 + [0.01] * 4, spec)
    assert (found.verdict.verdict, found.reasons) == ("fake", ())
    assert found.verdict == decide(found.verdict.p_fake, spec.threshold_real, spec.threshold_fake)
    assert found.verdict.p_fake == pytest.approx(0.95)


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
    found = aggregate(p_fake, make_spec())
    assert found.reasons == reasons
    if not p_fake:
        assert found.verdict is None
        return
    assert found.verdict.verdict == verdict
    assert found.verdict.p_fake + found.verdict.p_real == pytest.approx(1)


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
    found = aggregate(p_fake, make_spec())
    low, high = found.interval
    assert 0 <= low <= found.verdict.p_fake + 1e-9
    assert found.verdict.p_fake - 1e-9 <= high <= 1


def test_reasons_that_videos_share_with_pictures_have_one_name():
    assert set(VIDEO_REASONS) & set(REASONS) == {"no_face", "several_faces", "between_thresholds"}


@pytest.mark.parametrize(
    ("head", "container"),
    [
        (b"\0\0\0\x20ftypisom", "MP4"),
        (b"\0\0\0\x14ftypqt  ", "MOV"),
        (b"\x1a\x45\xdf\xa3\x9f\x42\x82\x84webm", "WEBM"),
        (b"\x1a\x45\xdf\xa3\xa3\x42\x82\x88matroska", "MKV"),
        (b"\0\0\0\x1cftypavif", None),
        (b"\0\0\0\x18ftypheic", None),
        (b"RIFF\0\0\0\0AVI ", None),
        (b"\xff\xd8\xff\xe0", None),
        (b"#EXTM3U\n", None),
        (b"", None),
    ],
)
def test_a_container_is_told_by_its_first_bytes(head, container):
    assert container_of(head) == container

"""Tracks: which faces of successive frames are one face."""

import numpy as np
import pytest

from service.contract.faces.face import Face
from service.video.tracks import follow, scene

STILL = np.zeros((9, 16))


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
    mask = scene(pixels)
    assert mask.shape == (9, 16)
    assert mask[:, :8].max() == 0
    assert mask[:, 8:].min() == 1
    assert scene(np.full((9, 16, 3), 51, np.uint8)) == pytest.approx(0.2)

"""Regions: squares around faces that always lie inside the picture."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.contract.faces.face import Face, Region

FACE = Face(100, 50, 60, 80, 0.9)


def test_region_is_margin_times_longer_side_around_centre():
    assert FACE.region(1.5) == Region(70, 30, 120)


def test_a_shift_moves_the_middle_by_a_share_of_the_face():
    assert FACE.region(1.0, shift=(0.5, -0.25)) == Region(90 + 40, 50 - 20, 80)


def test_a_region_that_sticks_out_is_moved_in_and_keeps_its_size():
    assert Region(-20, 10, 100).inside(300, 300) == Region(0, 10, 100)
    assert Region(250, 290, 100).inside(300, 320) == Region(200, 220, 100)


def test_region_over_the_picture_shrinks_to_its_shorter_side():
    assert Region(-50, -50, 400).inside(300, 200) == Region(50, 0, 200)


@given(
    left=st.floats(-500, 500),
    top=st.floats(-500, 500),
    side=st.floats(0.5, 2000),
    width=st.integers(1, 1000),
    height=st.integers(1, 1000),
)
def test_every_region_ends_up_inside(left, top, side, width, height):
    inside = Region(left, top, side).inside(width, height)
    box = inside.box
    assert inside.side <= min(side, width, height)
    assert box[0] >= 0
    assert box[1] >= 0
    assert box[2] <= width * (1 + 1e-12)
    assert box[3] <= height * (1 + 1e-12)
    assert inside.side == pytest.approx(min(side, width, height))

"""Framing: which boxes a model is shown, and which modes and finders it takes."""

import pytest
from PIL import Image

from service.contract.faces.face import FINDER, Face
from service.contract.faces.framing import MIN_SPAN, check_finder, check_mode, frame, looks
from service.contract.spec import Preprocessing, SpecError

WHOLE = Preprocessing(100, 100, "bicubic", "crop", "apply", "whole")
MARGIN = Preprocessing(100, 100, "bicubic", "crop", "apply", "whole", 1.0, FINDER)
SQUARE = Preprocessing(100, 100, "bicubic", "crop", "apply", "face", 2.0, FINDER)
FACES = (Face(100, 60, 80, 100, 0.9), Face(10, 10, 20, 20, 0.8))


@pytest.mark.parametrize(
    ("preprocessing", "faces", "box"),
    [
        (WHOLE, FACES, (50, 0, 250, 200)),
        (SQUARE, (), (50, 0, 250, 200)),
        (SQUARE, FACES, (40, 0, 240, 200)),
        (SQUARE, FACES[1:], (0, 0, 40, 40)),
    ],
)
def test_frame_is_the_square_around_the_largest_face(preprocessing, faces, box):
    """The square is moved into the picture; without a face it is the middle of the picture."""
    assert frame(Image.new("RGB", (300, 200)), preprocessing, faces) == box


def test_looks_by_mode_are_one_or_one_per_face():
    """Mode ``crop`` shows each face, the others what the model was trained on."""
    off = looks(FACES, 300, 200, SQUARE, "off")
    report = looks(FACES, 300, 200, SQUARE, "report")
    crop = looks(FACES, 300, 200, SQUARE, "crop")
    assert [(look.box, look.face) for look in off] == [((50, 0, 250, 200), None)]
    assert [(look.box, look.face) for look in report] == [((40, 0, 240, 200), FACES[0])]
    assert [look.face for look in crop] == list(FACES)
    assert looks((), 300, 200, SQUARE, "crop") == (off[0],)


@pytest.mark.parametrize(("share", "wide"), [(MIN_SPAN + 0.01, False), (MIN_SPAN - 0.01, True)])
def test_looks_face_that_spans_too_little_is_wide(share, wide):
    """A network of whole pictures judges the surroundings of a small face."""
    side = 200 * share
    (look,) = looks((Face(50, 0, side, side, 0.9),), 300, 200, MARGIN, "report")
    assert look.wide is wide


def test_looks_half_a_face_counts_half():
    """The strip of a cut-off face may span the whole picture, and the face is not seen."""
    (look,) = looks((Face(200, 0, 200, 200, 0.9),), 300, 200, MARGIN, "report")
    assert look.wide


@pytest.mark.parametrize(
    ("changes", "mode", "field"),
    [
        ({"framing": "face", "face_margin": 1.0, "face_finder": FINDER}, "off", "framing"),
        ({}, "crop", "face_margin"),
    ],
)
def test_check_mode_unsupported_is_refused_by_field(make_spec, changes, mode, field):
    """The refusal names the field of the model file, and a mode that works."""
    with pytest.raises(SpecError, match=f"{field}.*use 'report'"):
        check_mode(make_spec(**changes), mode)
    check_mode(make_spec(**changes), "report")


def test_check_finder_of_another_finder_is_refused(make_spec):
    """A margin is relative to the boxes of the finder that it was measured with."""
    with pytest.raises(SpecError, match="'mtcnn' is not"):
        check_finder(make_spec(face_margin=1.0, face_finder="mtcnn"))
    check_finder(make_spec(face_margin=1.0, face_finder=FINDER))

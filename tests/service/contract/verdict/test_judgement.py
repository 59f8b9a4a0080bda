"""Framing and judgement: what the model is shown, and which verdict and reasons come of it."""

import io

import numpy as np
import pytest
from PIL import Image

from service.contract.faces.face import FINDER, Face
from service.contract.faces.finder import FaceFinder
from service.contract.faces.framing import FacePolicy, Look, check_finder, check_mode, frame, looks
from service.contract.image.decode import DecodedImage
from service.contract.image.resize import covered
from service.contract.preparation import Prepared, prepare, recompressed
from service.contract.spec import SpecError
from service.contract.verdict.judgement import REASONS, Judgement, judge

FAKE, REAL, BETWEEN = (-4.0, 4.0), (4.0, -4.0), (0.0, 0.0)
LARGE, SMALL = Face(100, 100, 150, 200, 0.9), Face(300, 40, 15, 20, 0.8)


@pytest.fixture(scope="module")
def whole(make_spec):
    return make_spec(face_margin=1.3, face_finder=FINDER, temperature=1.0)


@pytest.fixture(scope="module")
def cut_out(make_spec):
    return make_spec(framing="face", face_margin=1.0, face_finder=FINDER)


def as_decoded(rgb: Image.Image) -> DecodedImage:
    return DecodedImage("PNG", rgb.width, rgb.height, rgb)


def judged(spec, mode: str, logits, *faces: Face, again=None, min_face: int = 20, size=(460, 300)) -> Judgement:
    shown = looks(faces, *size, spec.preprocessing, mode)
    rows = [*logits, *(again or ())]
    prepared = Prepared(faces, shown, np.zeros((len(rows), 48, 48, 3), np.uint8))
    policy = FacePolicy(mode, min_face=min_face, check_recompression=again is not None)
    return judge(np.array(rows, np.float32), prepared, spec, policy)


def test_off_is_the_models_verdict_and_nothing_else(whole):
    judgement = judged(whole, "off", [FAKE])
    assert (judgement.verdict.verdict, judgement.reasons, judgement.faces) == ("fake", (), ())


def test_no_face_makes_any_verdict_uncertain(whole):
    judgement = judged(whole, "report", [FAKE])
    assert (judgement.verdict.verdict, judgement.reasons) == ("uncertain", ("no_face",))
    assert judgement.verdict.confidence == max(judgement.verdict.p_fake, judgement.verdict.p_real)
    assert judged(whole, "crop", [FAKE]).reasons == ("no_face",)


@pytest.mark.parametrize(("logits", "verdict"), [(FAKE, "fake"), (REAL, "real")])
def test_a_face_that_is_seen_leaves_the_verdict_as_it_is(whole, logits, verdict):
    judgement = judged(whole, "report", [logits], LARGE)
    assert (judgement.verdict.verdict, judgement.reasons) == (verdict, ())
    assert [(face.face, face.verdict) for face in judgement.faces] == [(LARGE, None)]


def test_between_the_thresholds_is_a_reason(whole):
    assert judged(whole, "report", [BETWEEN], LARGE).reasons == ("between_thresholds",)


def test_a_face_of_few_pixels_is_not_judged(whole):
    for mode, reasons in (("report", ("face_too_small", "framed_too_wide")), ("crop", ("face_too_small",))):
        judgement = judged(whole, mode, [FAKE], SMALL, min_face=21)
        assert (judgement.verdict.verdict, judgement.reasons) == ("uncertain", reasons)
    assert judged(whole, "crop", [FAKE], SMALL, min_face=20).verdict.verdict == "fake"


def test_a_turned_face_is_not_judged(whole):
    turned = Face(100, 100, 150, 200, 0.9, turned=True)
    judgement = judged(whole, "report", [FAKE], turned)
    assert (judgement.verdict.verdict, judgement.reasons) == ("uncertain", ("face_turned",))
    judgement = judged(whole, "crop", [FAKE, REAL], turned, Face(300, 100, 90, 120, 0.9))
    assert (judgement.verdict.verdict, judgement.reasons) == ("real", ("face_turned", "several_faces"))


def test_a_face_that_the_border_cuts_is_not_judged(whole):
    for cut, verdict in ((0.19, "fake"), (0.21, "uncertain")):
        judgement = judged(whole, "crop", [FAKE], Face(0, 50, 150, 200, 0.9, cut=cut))
        assert (judgement.verdict.verdict, judgement.reasons) == (verdict, ("face_cut",) if cut > 0.2 else ())


def test_several_faces_are_a_reason_that_leaves_the_verdict(whole):
    judgement = judged(whole, "report", [REAL], LARGE, SMALL)
    assert (judgement.verdict.verdict, judgement.reasons) == ("real", ("several_faces",))


def test_a_tight_crop_is_a_reason_that_leaves_the_verdict(whole):
    judgement = judged(whole, "report", [FAKE], Face(0, 0, 400, 400, 0.5, tight=True), size=(400, 400))
    assert (judgement.verdict.verdict, judgement.reasons) == ("fake", ("tight_crop",))


def test_crop_picture_verdict_is_that_of_its_most_fake_face(whole):
    second_face = Face(300, 100, 150, 190, 0.9)
    judgement = judged(whole, "crop", [REAL, FAKE], LARGE, second_face)
    assert [face.verdict.verdict for face in judgement.faces] == ["real", "fake"]
    assert judgement.verdict == judgement.faces[1].verdict
    assert judgement.reasons == ("several_faces",)


def test_a_small_face_does_not_decide_while_another_can(whole):
    judgement = judged(whole, "crop", [REAL, FAKE], LARGE, SMALL, min_face=30)
    assert [face.reasons for face in judgement.faces] == [(), ("face_too_small",)]
    assert [face.verdict.verdict for face in judgement.faces] == ["real", "uncertain"]
    assert (judgement.verdict.verdict, judgement.reasons) == ("real", ("face_too_small", "several_faces"))


def test_small_faces_alone_make_the_picture_uncertain(whole):
    judgement = judged(whole, "crop", [FAKE], SMALL, min_face=30)
    assert (judgement.verdict.verdict, judgement.reasons) == ("uncertain", ("face_too_small",))


def test_verdict_lost_under_recompression_is_uncertain(whole):
    stable = judged(whole, "report", [FAKE], LARGE, again=[FAKE])
    assert (stable.verdict.verdict, stable.reasons) == ("fake", ())
    flips = judged(whole, "report", [FAKE], LARGE, again=[BETWEEN])
    assert (flips.verdict.verdict, flips.reasons) == ("uncertain", ("unstable_under_recompression",))


def test_recompression_is_checked_face_by_face(whole):
    second_face = Face(300, 100, 150, 190, 0.9)
    judgement = judged(whole, "crop", [REAL, FAKE], LARGE, second_face, again=[REAL, REAL])
    assert [face.reasons for face in judgement.faces] == [(), ("unstable_under_recompression",)]


def test_an_unstable_face_does_not_hide_a_fake_one(whole):
    second_face = Face(300, 100, 150, 190, 0.9)
    judgement = judged(whole, "crop", [(-6.0, 6.0), FAKE], LARGE, second_face, again=[BETWEEN, FAKE])
    assert [face.verdict.verdict for face in judgement.faces] == ["uncertain", "fake"]
    assert (judgement.verdict.verdict, judgement.reasons) == ("fake", ("several_faces",))


def test_reasons_come_in_one_order(whole):
    judgement = judged(whole, "report", [BETWEEN], LARGE, SMALL, again=[FAKE])
    assert judgement.reasons == ("several_faces", "unstable_under_recompression", "between_thresholds")
    assert list(REASONS).index("several_faces") < list(REASONS).index("between_thresholds")


def test_face_outside_the_models_square_is_not_judged(whole):
    """A tall picture is cut to its middle: a face at its upper end is gone."""
    face = Face(50, 10, 100, 130, 0.9)
    (look,) = looks((face,), 200, 800, whole.preprocessing, "report")
    assert look == Look(covered(200, 800, 48, 48, "crop"), face, wide=True)
    assert judged(whole, "report", [FAKE], face, size=(200, 800)).reasons == ("framed_too_wide",)
    assert judged(whole, "crop", [FAKE], face, size=(200, 800)).verdict.verdict == "fake"


def test_picture_framed_wider_than_training_is_not_judged(whole):
    face = Face(100, 100, 90, 200, 0.9)  # in training a face spanned 1/1.3 of the picture
    for side, verdict in ((300, "fake"), (340, "uncertain"), (600, "uncertain")):
        judgement = judged(whole, "report", [FAKE], face, size=(side, side), min_face=1)
        assert judgement.verdict.verdict == verdict
        assert judgement.reasons == (() if verdict == "fake" else ("framed_too_wide",))
    assert judged(whole, "crop", [FAKE], face, size=(600, 600), min_face=1).verdict.verdict == "fake"


def test_model_without_margin_requires_min_face_pixels(make_spec):
    spec, face = make_spec(input_height=128, input_width=128), Face(100, 100, 90, 200, 0.9)
    assert judged(spec, "report", [FAKE], face, size=(500, 500)).verdict.verdict == "fake"
    assert judged(spec, "report", [FAKE], face, size=(560, 560)).reasons == ("framed_too_wide",)


def test_model_of_cropped_faces_gets_largest_unless_by_crop(cut_out):
    faces = (LARGE, SMALL)
    (report,) = looks(faces, 500, 400, cut_out.preprocessing, "report")
    assert report.box == (75.0, 100.0, 275.0, 300.0)
    assert [look.face for look in looks(faces, 500, 400, cut_out.preprocessing, "crop")] == [LARGE, SMALL]


def test_frame_is_what_a_report_shows(astronaut, whole, cut_out):
    for spec in (whole, cut_out):
        shown = prepare(as_decoded(astronaut), spec.preprocessing, FacePolicy("report"))
        assert frame(astronaut, spec.preprocessing) == shown.looks[0].box
    blank = Image.new("RGB", (300, 200))
    assert frame(blank, cut_out.preprocessing) == covered(300, 200, 48, 48, "crop")


def test_off_looks_for_no_face(astronaut, whole, monkeypatch):
    monkeypatch.setattr("service.contract.preparation.face_finder", lambda: 1 / 0)
    shown = prepare(as_decoded(astronaut), whole.preprocessing, FacePolicy("off"))
    assert (shown.faces, len(shown.tensors)) == ((), 1)


def test_at_most_so_many_faces_are_shown_to_the_model(astronaut, whole):
    pair = Image.new("RGB", (1024, 512))
    pair.paste(astronaut, (0, 0))
    pair.paste(astronaut, (512, 0))
    assert len(prepare(as_decoded(pair), whole.preprocessing, FacePolicy("crop")).tensors) == 2
    assert len(prepare(as_decoded(pair), whole.preprocessing, FacePolicy("crop", max_faces=1)).tensors) == 1


def test_a_check_of_recompression_shows_every_look_once_more(astronaut, whole):
    plain = prepare(as_decoded(astronaut), whole.preprocessing, FacePolicy("crop"))
    both = prepare(as_decoded(astronaut), whole.preprocessing, FacePolicy("crop", check_recompression=True))
    assert np.array_equal(both.tensors[:1], plain.tensors)
    difference = np.abs(both.tensors[1].astype(int) - both.tensors[0])
    assert 0 < difference.mean() < 4


def test_picture_beyond_jpeg_size_limit_is_recompressed(whole, monkeypatch):
    ramp = np.linspace(0, 255, 70_000).astype(np.uint8)[:, None, None].repeat(39, axis=1).repeat(3, axis=2)
    longer = as_decoded(Image.fromarray(ramp))
    assert (recompressed(longer).width, recompressed(longer).height) == (36, 65_500)
    monkeypatch.setattr(FaceFinder, "find", lambda *_: (Face(0, 39_900, 39, 60, 0.9),))
    shown = prepare(longer, whole.preprocessing, FacePolicy("crop", check_recompression=True))
    assert np.abs(shown.tensors[1].astype(int) - shown.tensors[0]).max() <= 2


def test_a_picture_without_a_face_is_not_recompressed(whole):
    blank = as_decoded(Image.new("RGB", (300, 300), "gray"))
    assert len(prepare(blank, whole.preprocessing, FacePolicy(check_recompression=True)).tensors) == 1


def test_recompression_is_that_of_a_jpeg_of_quality_75(astronaut):
    buffer = io.BytesIO()
    astronaut.save(buffer, "JPEG", quality=75, subsampling=2)
    assert np.array_equal(np.asarray(recompressed(as_decoded(astronaut)).rgb), np.asarray(Image.open(buffer)))


def test_off_is_refused_for_a_model_of_cut_out_faces(cut_out):
    with pytest.raises(SpecError, match="'framing': 'face' needs the face finder"):
        check_mode(cut_out, "off")


def test_crop_is_refused_for_a_model_that_knows_no_margin(make_spec):
    with pytest.raises(SpecError, match="'face_margin': is missing"):
        check_mode(make_spec(), "crop")
    check_mode(make_spec(), "report")


def test_another_models_finder_is_refused(make_spec):
    with pytest.raises(SpecError, match=f"'face_finder': 'haar' is not '{FINDER}'"):
        check_finder(make_spec(face_margin=1.3, face_finder="haar"))

"""The detector: boxes of YuNet, held against OpenCV's implementation."""

import cv2
import numpy as np
import pytest
from PIL import Image

from service.contract.faces import yunet
from service.contract.faces.detector import SIDE
from service.contract.faces.finder import FaceFinder, face_finder
from service.contract.faces.yunet import FinderError


@pytest.fixture(scope="module")
def find():
    return face_finder().find


def test_boxes_and_scores_equal_those_of_opencv(find, astronaut, tmp_path):
    weights = tmp_path / "yunet.onnx"
    weights.write_bytes(yunet.weights())
    reference = cv2.FaceDetectorYN.create(str(weights), "", (SIDE, SIDE), 0.7, 0.3, 5000)
    collage = Image.new("RGB", (SIDE, SIDE), "gray")
    for number in range(6):
        portrait = astronaut.crop((140, 20, 300, 180)).rotate(6 * number).resize((70 + 5 * number,) * 2)
        collage.paste(portrait, (number % 3 * 105, number // 3 * 160))
    _, expected = reference.detect(np.asarray(collage)[:, :, ::-1].copy())
    ours = sorted((f.left, f.top, f.width, f.height, f.score) for f in find(collage))
    assert len(ours) == 6
    assert np.allclose(ours, sorted(map(tuple, expected[:, [0, 1, 2, 3, 14]].tolist())), atol=0.05)


def test_weights_that_do_not_run_are_refused(monkeypatch):
    whole = yunet.for_side(yunet.weights(), SIDE)
    monkeypatch.setattr(yunet, "for_side", lambda *_: whole[: len(whole) // 2])
    with pytest.raises(FinderError, match="does not load"):
        FaceFinder()


def test_a_network_that_does_not_run_is_refused(monkeypatch):
    monkeypatch.setattr(yunet, "for_side", lambda *_: yunet.weights())  # declared for another size than it is given
    with pytest.raises(FinderError, match="does not run"):
        FaceFinder()

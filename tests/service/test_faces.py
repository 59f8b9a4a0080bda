"""SERVICE_FACES: what off, report and crop answer, and what stops the start."""

import numpy as np
import pytest
from PIL import Image

from service.app import create_app
from service.contract.faces import yunet
from service.contract.faces.face import FINDER
from service.contract.faces.finder import FaceFinder, face_finder
from service.contract.faces.yunet import FinderError
from service.inference.engine import Engine
from service.inference.engine_options import EngineOptions
from service.inference.model_file import ModelFileError
from service.settings import Settings


@pytest.fixture(scope="session")
def tiny_engine(make_model, make_spec) -> Engine:
    """The tiny model, of which grey over 127 is fake, with a margin; it sees 48 pixels."""
    return Engine.from_bytes(make_model(make_spec(face_margin=1.3, face_finder=FINDER)), EngineOptions("cpu", 1))


@pytest.fixture(scope="module")
def pair(astronaut) -> Image.Image:
    """A dark face on the left and a larger, bright one on the right, 900 x 600."""
    portrait = astronaut.crop((120, 20, 320, 220))
    picture = Image.new("RGB", (900, 600), "black")
    picture.paste(portrait.point(lambda value: value // 2).resize((300, 300)), (40, 200))
    picture.paste(portrait.point(lambda value: 110 + value // 2).resize((420, 420)), (440, 100))
    return picture


def ask(client, encode, picture: Image.Image, **options) -> dict:
    response = client.post("/predict", files={"file": encode(picture, "PNG", **options)})
    assert response.status_code == 200, response.text
    return response.json()


def test_off_says_nothing_of_faces(make_client, encode, astronaut):
    answer = ask(make_client(faces="off"), encode, astronaut)
    assert "faces" not in answer
    assert "reasons" not in answer


def test_report_is_the_default_and_tells_where_faces_are(client, encode, astronaut):
    answer = ask(client, encode, astronaut)
    (face,) = answer["faces"]
    assert set(face) == {"box", "score"}
    assert set(face["box"]) == {"left", "top", "width", "height"}
    assert face["score"] > 0.9
    assert face["box"]["left"] == pytest.approx(179, abs=3)
    assert answer["reasons"] == ["framed_too_wide"]  # it spans a fifth of the picture


@pytest.mark.parametrize("mode", ["report", "crop"])
@pytest.mark.parametrize("grey", [0, 250])
def test_picture_without_a_face_is_uncertain(make_client, encode, mode, grey):
    answer = ask(make_client(faces=mode), encode, Image.new("RGB", (300, 200), (grey,) * 3))
    assert (answer["verdict"], answer["faces"], answer["reasons"]) == ("uncertain", [], ["no_face"])
    assert answer["confidence"] == max(answer["probabilities"].values())


def test_boxes_are_in_pixels_of_the_picture_as_shown(client, encode, astronaut):
    exif = Image.Exif()
    exif[0x0112] = 8
    (plain,) = ask(client, encode, astronaut)["faces"]
    (turned,) = ask(client, encode, astronaut.transpose(Image.Transpose.ROTATE_270), exif=exif.tobytes())["faces"]
    assert turned == plain


def test_crop_judges_every_face_and_the_picture_by_the_most_fake(make_client, encode, pair):
    answer = ask(make_client(faces="crop", min_face=20), encode, pair)
    assert [face["verdict"] for face in answer["faces"]] == ["fake", "real"]
    assert answer["faces"][0]["box"]["left"] > 440
    for face in answer["faces"]:
        assert set(face) == {"box", "score", "verdict", "confidence", "probabilities", "reasons"}
        assert sum(face["probabilities"].values()) == pytest.approx(1, abs=1e-12)
    assert answer["verdict"] == "fake"
    assert answer["probabilities"] == answer["faces"][0]["probabilities"]
    assert answer["reasons"] == ["several_faces"]


def test_crop_shows_the_model_the_square_around_each_face(make_client, encode, pair, tiny_engine, monkeypatch):
    seen = []
    good = Engine.logits
    monkeypatch.setattr(Engine, "logits", lambda self, images: seen.append(images) or good(self, images))
    answer = ask(make_client(faces="crop"), encode, pair)
    (tensors,) = seen
    assert tensors.shape == (2, 48, 48, 3)
    for tensor, face, detected in zip(tensors, answer["faces"], face_finder().find(pair), strict=True):
        box = detected.region(1.3).inside(*pair.size).box
        assert np.array_equal(tensor, np.asarray(pair.resize((48, 48), Image.Resampling.BICUBIC, box=box)))
        assert face["box"]["top"] == round(detected.top)


def test_a_small_face_is_said_to_be_one(make_client, encode, pair):
    answer = ask(make_client(faces="crop", min_face=400), encode, pair)
    assert [face["reasons"] for face in answer["faces"]] == [["face_too_small"]] * 2
    assert (answer["verdict"], answer["reasons"]) == ("uncertain", ["face_too_small", "several_faces"])


def test_no_more_faces_than_the_setting_allows(make_client, encode, pair):
    assert len(ask(make_client(faces="crop", max_faces=1), encode, pair)["faces"]) == 1


def test_recompression_is_checked_where_it_is_asked_for(make_client, encode, astronaut, monkeypatch):
    """The second row is the recompressed picture's; a model that changes its mind makes it uncertain."""
    face = astronaut.crop((140, 30, 300, 190))
    good = Engine.logits
    monkeypatch.setattr(
        Engine, "logits", lambda self, images: np.float32([[-9, 9], [9, -9]][: len(images)]) + 0 * good(self, images)
    )
    assert ask(make_client(min_face=20), encode, face)["verdict"] == "fake"
    answer = ask(make_client(check_recompression=True, min_face=20), encode, face)
    assert (answer["verdict"], answer["reasons"]) == ("uncertain", ["unstable_under_recompression"])


def test_many_faces_reach_the_model_few_at_a_time(make_client, encode, astronaut, monkeypatch):
    crowd = Image.new("RGB", (1000, 820), (90, 120, 90))
    for number in range(20):
        crowd.paste(astronaut.crop((150, 0, 310, 160)), (number % 5 * 198 + 10, number // 5 * 200 + 10))
    sizes = []
    good = Engine.logits
    monkeypatch.setattr(Engine, "logits", lambda self, images: sizes.append(len(images)) or good(self, images))
    answer = ask(make_client(faces="crop"), encode, crowd)
    assert len(answer["faces"]) == 20
    assert sizes == [8, 8, 4]


def test_failing_finder_is_500_and_readiness_tries_it_again(client, encode, astronaut, monkeypatch):
    good = FaceFinder.find

    def fails(*_):
        raise FinderError("allocation failed at 0xdead")

    monkeypatch.setattr(FaceFinder, "find", fails)
    response = client.post("/predict", files={"file": encode(astronaut)})
    assert (response.status_code, response.json()["code"]) == (500, "inference_failed")
    assert "0xdead" not in response.text
    assert client.get("/readyz").status_code == 503
    monkeypatch.setattr(FaceFinder, "find", good)
    assert client.get("/readyz").status_code == 200
    assert client.post("/predict", files={"file": encode(astronaut)}).status_code == 200


def test_crop_for_a_model_without_margin_is_refused_at_start(make_model, make_spec):
    engine = Engine.from_bytes(make_model(make_spec()), EngineOptions("cpu", 1))
    with pytest.raises(ModelFileError, match="face_margin"):
        create_app(Settings(faces="crop"), engine)
    create_app(Settings(faces="report"), engine)


def test_missing_weights_are_refused_at_the_start(tiny_engine, monkeypatch):
    monkeypatch.setattr(yunet, "SHA256", "0" * 64)
    face_finder.cache_clear()
    try:
        with pytest.raises(FinderError, match="holds unexpected weights"):
            create_app(Settings(), tiny_engine)
        create_app(Settings(faces="off"), tiny_engine)
    finally:
        face_finder.cache_clear()


def test_whole_photos_with_faces_are_answered_in_every_mode(make_client, faces_data):
    for mode in ("off", "report", "crop"):
        client = make_client(faces=mode)
        for path in sorted((faces_data / "photos").iterdir())[:6]:
            response = client.post("/predict", files={"file": path.read_bytes()})
            assert response.status_code == 200
            assert mode == "off" or len(response.json()["faces"]) >= 1

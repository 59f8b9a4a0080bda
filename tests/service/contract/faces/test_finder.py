"""The face finder: faces of any size and turn, and none where there is none."""

import random
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image, ImageDraw

from service.contract.faces.face import Face
from service.contract.faces.finder import face_finder
from service.contract.image.decode import decode
from service.contract.image.image_errors import Limits
from tests.conftest import PUBLIC_DOMAIN


@pytest.fixture(scope="module")
def find():
    return face_finder().find


@pytest.fixture(scope="module")
def face(astronaut, find) -> Face:
    (face,) = find(astronaut)
    return face


def test_the_portrait_has_one_face_where_it_is(face):
    assert face.score > 0.9
    assert 165 < face.left < 190
    assert 50 < face.top < 75
    assert 80 < face.width < 100
    assert 100 < face.height < 125


def test_a_larger_picture_has_the_same_face_in_its_own_pixels(find, astronaut, face):
    (larger,) = find(astronaut.resize((2048, 2048)))
    for name in ("left", "top", "width", "height"):
        assert getattr(larger, name) == pytest.approx(4 * getattr(face, name), abs=16)


def test_an_exif_orientation_is_undone_before_the_search(find, astronaut, encode, face):
    exif = Image.Exif()
    exif[0x0112] = 6
    payload = encode(astronaut.transpose(Image.Transpose.ROTATE_90), "JPEG", quality=95, exif=exif.tobytes())
    (upright,) = find(decode(payload, Limits(), "apply").rgb)
    assert upright.left == pytest.approx(face.left, abs=4)
    assert upright.top == pytest.approx(face.top, abs=4)
    assert all(abs(f.left - face.left) > 50 for f in find(decode(payload, Limits(), "ignore").rgb))


@pytest.mark.parametrize(("degrees", "turned"), [(-30, False), (0, False), (30, False), (180, True)])
def test_tilted_face_is_found_and_upside_down_face_is_turned(find, astronaut, degrees, turned):
    (face,) = find(astronaut.rotate(degrees))
    assert face.turned == turned


def test_turned_face_beside_an_upright_face_is_named(find, astronaut):
    portrait = astronaut.crop((140, 30, 300, 190))
    pair = Image.new("RGB", (320, 170), "gray")
    pair.paste(portrait, (0, 5))
    pair.paste(portrait.rotate(180), (160, 5))
    upright, turned = sorted(find(pair), key=lambda face: face.left)
    assert (upright.turned, turned.turned) == (False, True)


@pytest.mark.parametrize("folder", ["ffhq-stylegan1/real", "stylegan2-512/fake", "lfw/real", "hardfake/real"])
def test_turned_faces_are_known_on_real_pictures(find, faces_data, folder):
    paths = sorted(path for path in (faces_data / folder).iterdir() if path.stat().st_size)
    for quarters, share in ((0, 0.02), (1, 0.95), (2, 0.95)):
        faces = [
            face
            for path in random.Random(1).sample(paths, 60)
            for face in find(decode(path.read_bytes(), Limits(), "apply").rgb.rotate(90 * quarters, expand=True), 1)
        ]
        turned = np.mean([face.turned for face in faces])
        assert turned >= share if quarters else turned <= share


def test_a_face_at_the_border_is_clipped_to_the_picture(find, astronaut, face):
    cut = astronaut.crop((round(face.left + face.width / 2), 0, 512, 512))
    (cut_face,) = find(cut)
    assert cut_face.left == 0
    assert cut_face.width < face.width * 0.8
    assert cut_face.cut > 0.2
    assert face.cut == 0


def test_a_greyscale_face_is_a_face(find, astronaut):
    assert len(find(astronaut.convert("L").convert("RGB"))) == 1


def test_faces_come_largest_first_up_to_the_limit(find, astronaut):
    crowd = Image.new("RGB", (1000, 820), (90, 120, 90))
    portrait = astronaut.crop((150, 0, 310, 160))
    for number in range(20):
        side = 190 - 2 * number
        crowd.paste(portrait.resize((side, side)), (number % 5 * 198, number // 5 * 200))
    faces = find(crowd)
    assert len(faces) == 20
    assert [f.side for f in faces] == sorted((f.side for f in faces), reverse=True)
    assert find(crowd, 3) == faces[:3]


def test_a_face_of_twenty_pixels_is_found_in_a_small_picture(find, astronaut, face):
    scale = 20 / face.side
    meadow = Image.new("RGB", (320, 320), (90, 120, 90))
    meadow.paste(astronaut.resize((round(512 * scale),) * 2), (120, 120))
    (small_face,) = find(meadow)
    assert 12 < small_face.side < 26


def test_tight_crop_is_found_at_the_second_look(find, astronaut, face, monkeypatch):
    inner = astronaut.crop((round(face.left + 8), round(face.top + 20), round(face.left + 82), round(face.top + 100)))
    monkeypatch.setattr("service.contract.faces.finder.MIN_SCORE", 0.99)  # as if the first look had found nothing
    (inner_face,) = find(inner)
    assert inner_face.tight
    assert inner_face.side == pytest.approx(max(inner.size), rel=0.15)
    assert find(inner.resize((inner.width * 2, inner.height))) == ()  # not in crop shape


def drawing() -> Image.Image:
    picture = Image.new("RGB", (300, 300), "white")
    draw = ImageDraw.Draw(picture)
    draw.ellipse((60, 40, 240, 260), fill=(255, 220, 180), outline="black", width=3)
    for eye in ((105, 110, 130, 130), (170, 110, 195, 130)):
        draw.ellipse(eye, fill="black")
    draw.arc((110, 160, 190, 220), 20, 160, fill="red", width=5)
    return picture


def noise(side: int) -> Image.Image:
    pixels = np.random.default_rng(side).integers(0, 256, (side, side, 3), np.uint8)
    return Image.fromarray(pixels).resize((300, 300))


@pytest.mark.parametrize(
    "picture",
    [Image.new("RGB", (300, 300), colour) for colour in ("black", "white")]
    + [noise(side) for side in (4, 16, 64, 300)]
    + [drawing()],
    ids=["black", "white", "noise 4", "noise 16", "noise 64", "noise 300", "drawing"],
)
def test_picture_without_a_face_gives_none(find, picture):
    assert find(picture) == ()


@pytest.mark.parametrize(
    "name", ["brick.png", "grass.png", "gravel.png", "moon.png", "coins.png", "coffee.png", "chelsea.png", "rocket.jpg"]
)
def test_pictures_without_a_face_have_none(find, name):
    assert find(Image.open(PUBLIC_DOMAIN / name).convert("RGB")) == ()


@pytest.mark.parametrize("size", [(1, 1), (1, 5000), (5000, 1), (3, 2), (33, 4097), (321, 320)])
def test_every_shape_is_searched(find, size):
    assert find(Image.new("RGB", size)) == ()


def test_threads_that_search_side_by_side_find_what_one_finds(find, astronaut):
    pictures = [astronaut.crop((0, 0, 512 - 9 * number, 512 - 4 * number)) for number in range(24)]
    alone = [find(picture) for picture in pictures]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(find, pictures)) == alone


@pytest.mark.parametrize(
    ("folder", "share"),
    [
        ("hardfake/real", 0.995),
        ("hardfake/fake", 1.0),
        ("ffhq-stylegan1/real", 1.0),
        ("ffhq-128/real", 1.0),
        ("celeba/real", 1.0),
        ("utkface/real", 1.0),
        ("lfw/real", 1.0),
        ("dfdc-faceswap/fake", 0.97),
        ("photos", 1.0),
    ],
)
def test_real_faces_are_found(find, faces_data, folder, share):
    paths = sorted(path for path in (faces_data / folder).iterdir() if path.suffix in (".jpg", ".png"))
    chosen = random.Random(0).sample(paths, min(200, len(paths)))
    detections = [bool(find(decode(path.read_bytes(), Limits(), "apply").rgb)) for path in chosen]
    assert np.mean(detections) >= share

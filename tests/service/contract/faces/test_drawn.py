"""Drawn: flat colours are told from photos, whatever was done to either."""

import io

import pytest
from PIL import Image, ImageFilter

from service.contract.faces.drawn import is_drawn
from service.contract.faces.framing import FacePolicy
from service.contract.image.decode import decode
from service.contract.image.image_errors import Limits
from service.contract.preparation import prepare
from service.contract.spec import Preprocessing
from tests.cartoon import cartoon


def whole(image: Image.Image) -> tuple[float, float, float, float]:
    return 0.0, 0.0, float(image.width), float(image.height)


@pytest.mark.parametrize("side", [64, 160, 400, 1500])
@pytest.mark.parametrize("quality", [None, 95, 75])
def test_a_cartoon_is_drawn_saved_as_png_and_as_jpeg(side, quality):
    image = cartoon(side)
    if quality:
        if side < 160:
            pytest.skip("so small that JPEG leaves no flat block of it")
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=quality)
        image = Image.open(buffer).convert("RGB")
    assert is_drawn(image, whole(image))


@pytest.mark.parametrize(
    "change",
    [
        lambda image: image,
        lambda image: image.filter(ImageFilter.GaussianBlur(4)),
        lambda image: image.resize((1600, 1600), Image.Resampling.BICUBIC),
        lambda image: image.resize((48, 48)),
        lambda image: image.point(lambda value: value * 0.2),
        lambda image: image.convert("L").convert("RGB"),
    ],
    ids=["as it is", "blurred", "enlarged", "small", "dark", "grey"],
)
@pytest.mark.parametrize("quality", [None, 90, 30])
def test_a_photo_is_not(astronaut, change, quality):
    image = change(astronaut.crop((160, 40, 300, 220)).resize((400, 400)))
    if quality:
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=quality)
        image = Image.open(buffer).convert("RGB")
    assert not is_drawn(image, whole(image))


@pytest.mark.parametrize("colour", [(0, 0, 0), (255, 255, 255), (120, 90, 60)])
def test_what_has_no_lines_is_no_drawing(colour):
    image = Image.new("RGB", (100, 100), colour)
    assert not is_drawn(image, whole(image))


@pytest.mark.parametrize("box", [(0.0, 0.0, 0.4, 0.4), (99.6, 99.6, 100.0, 100.0), (-3.0, -3.0, 103.0, 103.0)])
def test_any_box_is_answered(box):
    assert is_drawn(cartoon(100), box) in (True, False)


def test_photos_and_fakes_of_every_source_are_not_drawn(faces_data):
    how, flagged, seen = Preprocessing(160, 160, "bicubic", "crop", "apply", "face", 0.9, "yunet-2023mar"), [], 0
    for source in sorted(faces_data.iterdir()):
        for label in ("real", "fake"):
            for path in sorted((source / label).rglob("*.jpg"))[:12]:
                image = decode(path.read_bytes(), Limits(), "apply")
                seen += 1
                flagged += [path for look in prepare(image, how, FacePolicy()).looks if look.drawn]
    assert seen > 100
    assert len(flagged) <= seen / 100


def test_only_the_face_counts_not_what_is_around_it(astronaut):
    """A photo of a face pasted on a flat page is a photo."""
    page = Image.new("RGB", (1000, 1000), (250, 250, 250))
    page.paste(astronaut.crop((150, 20, 320, 240)), (400, 300))
    how = Preprocessing(160, 160, "bicubic", "crop", "apply", "face", 0.9, "yunet-2023mar")
    buffer = io.BytesIO()
    page.save(buffer, "PNG")
    (look,) = prepare(decode(buffer.getvalue(), Limits(), "apply"), how, FacePolicy()).looks
    assert look.face is not None
    assert not look.drawn

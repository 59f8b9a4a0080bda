"""JPEG: the pixels of libjpeg, harmless padding, and what is refused."""

import io

import numpy as np
import pytest
from PIL import Image

from service.contract.image import image_errors as contract
from service.contract.image.decode import decode
from tests.service.contract.image.pictures import LIMITS, gradient


def test_cmyk_looks_like_the_picture_it_came_from(encode):
    rgb = np.asarray(decode(encode(gradient().convert("CMYK"), quality=95), LIMITS, "apply").rgb, dtype=int)
    assert np.abs(rgb - np.asarray(gradient(), dtype=int)).mean() < 6


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0}, {"quality": 100}])
def test_a_jpeg_has_the_pixels_that_pillow_gives_it(encode, astronaut, mode, options):
    payload = encode(astronaut.resize((211, 157)).convert(mode), **options)
    with Image.open(io.BytesIO(payload)) as pillows:
        expected = np.asarray(pillows.convert("RGB"))
    assert np.array_equal(np.asarray(decode(payload, LIMITS, "apply").rgb), expected)


def test_padding_in_front_of_a_jpegs_end_is_no_damage(encode):
    payload = encode(gradient(), quality=90)
    padded = payload[:-2] + bytes(6) + payload[-2:]
    assert np.array_equal(
        np.asarray(decode(padded, LIMITS, "apply").rgb), np.asarray(decode(payload, LIMITS, "apply").rgb)
    )


def test_jpeg_with_unknown_sampling_is_refused(encode):
    """Inks with subsampling: only a decoder that passes over missing data would read them."""
    with pytest.raises(contract.Corrupt, match="subsampling"):
        decode(encode(gradient().convert("CMYK"), subsampling=1), LIMITS, "apply")

"""Limits of pictures: each refusal names value and limit."""

import pytest

from service.contract.image import image_errors as contract
from service.contract.image.decode import decode
from service.contract.image.image_errors import Limits
from tests.service.contract.image.pictures import LIMITS, gradient, png


def test_too_many_bytes_names_value_and_limit(encode):
    with pytest.raises(contract.TooManyBytes, match=r"\d+ bytes are over the limit of 100"):
        decode(encode(gradient()), Limits(max_bytes=100), "apply")


def test_900_megapixels_are_refused_from_the_header_alone():
    with pytest.raises(contract.TooManyPixels, match="900000000 pixels are over the limit of 50000000"):
        decode(png(30_000, 30_000, colour=0, depth=1), LIMITS, "apply")


def test_a_side_under_the_limit_is_refused(encode):
    with pytest.raises(contract.TooSmall, match="31 x 300 pixels: the shorter side is below the minimum of 32"):
        decode(encode(gradient(31, 300)), LIMITS, "apply")

"""WebP, lossy and lossless."""

import numpy as np

from service.contract.image.decode import decode
from service.contract.image.resize import to_tensor
from service.contract.spec import Preprocessing
from tests.service.contract.image.pictures import LIMITS


def test_a_png_and_its_lossless_webp_give_the_same_tensor(encode, astronaut):
    how = Preprocessing(128, 128, "bicubic", "crop", "apply")
    first, second = (
        to_tensor(decode(payload, LIMITS, "apply"), how)
        for payload in (encode(astronaut, "PNG"), encode(astronaut, "WEBP", lossless=True))
    )
    assert np.array_equal(first, second)

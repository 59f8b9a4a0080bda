"""The one resize: centre crop, antialiasing, and exactly the size that was asked for."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from service.contract.image.resize import resize
from tests.service.contract.image.pictures import gradient


def test_crop_is_the_centre_square_of_the_shortest_side():
    image = Image.fromarray(np.repeat(np.arange(200, dtype=np.uint8)[None, :, None], 100, 0).repeat(3, 2))
    cropped = np.asarray(resize(image, 100, 100, "bicubic", "crop"))
    assert np.array_equal(cropped, np.asarray(image)[:, 50:150])


def test_antialiasing_averages_where_nearest_picks():
    """Nearest keeps single pixels of fine stripes; an antialiased filter sees their mean."""
    stripes = Image.fromarray(np.tile(np.array([0, 255], np.uint8)[None, :, None], (256, 128, 3)))
    assert set(np.unique(np.asarray(resize(stripes, 64, 64, "nearest", "stretch")))) <= {0, 255}
    assert np.abs(np.asarray(resize(stripes, 64, 64, "bicubic", "stretch"), dtype=int)[:, 4:-4] - 127).max() < 3


@settings(max_examples=30)
@given(
    width=st.integers(32, 90),
    height=st.integers(32, 90),
    side=st.integers(1, 80),
    resize_filter=st.sampled_from(["nearest", "box", "bilinear", "hamming", "bicubic", "lanczos"]),
    fit=st.sampled_from(["stretch", "crop"]),
)
def test_resize_gives_the_exact_shape_for_all_settings(width, height, side, resize_filter, fit):
    first, second = (np.asarray(resize(gradient(width, height), side, side + 1, resize_filter, fit)) for _ in range(2))
    assert first.shape == (side, side + 1, 3)
    assert np.array_equal(first, second)

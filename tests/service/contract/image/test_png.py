"""PNG: depths, palettes and interlacing."""

import numpy as np
import pytest
from PIL import Image

from service.contract.image import image_errors as contract
from service.contract.image.decode import decode
from tests.service.contract.image.pictures import LIMITS, gradient, png


def test_palette_goes_through_its_colours(encode):
    palette = gradient().quantize(16)
    expected = np.asarray(palette.convert("RGB"))
    assert np.array_equal(np.asarray(decode(encode(palette, "PNG"), LIMITS, "apply").rgb), expected)


def test_palette_transparency_is_composited_over_white(encode):
    palette = gradient().quantize(4)
    payload = encode(palette, "PNG", transparency=bytes([0, 0, 0, 0]))
    assert (np.asarray(decode(payload, LIMITS, "apply").rgb) == 255).all()


def test_sixteen_bits_keep_the_high_byte(encode):
    samples = np.linspace(0, 65535, 64 * 48).astype(np.uint16).reshape(48, 64)
    rgb = np.asarray(decode(encode(Image.fromarray(samples), "PNG"), LIMITS, "apply").rgb)
    assert np.array_equal(rgb[:, :, 0], (samples >> 8).astype(np.uint8))


def test_sixteen_bit_colour_keeps_the_high_byte():
    samples = np.random.default_rng(0).integers(0, 65536, (40, 40, 3), dtype=np.uint16)
    body = b"".join(b"\0" + row.astype(">u2").tobytes() for row in samples)
    rgb = np.asarray(decode(png(40, 40, colour=2, depth=16, body=body), LIMITS, "apply").rgb)
    assert np.array_equal(rgb, (samples >> 8).astype(np.uint8))


@pytest.mark.parametrize(("colour", "depth"), [(0, 1), (0, 4), (0, 16), (2, 8), (2, 16), (4, 8), (6, 16)])
@pytest.mark.parametrize("size", [(32, 32), (33, 35), (39, 32)])
def test_interlaced_png_is_complete_after_seven_passes(colour, depth, size):
    width, height = size
    bits = depth * {0: 1, 2: 3, 4: 2, 6: 4}[colour]
    # Rows and columns of Adam7 that are there, counted one by one.
    starts = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
    rows = [
        b"\0" + b"\x5a" * -(-len(range(left, width, across)) * bits // 8)
        for left, top, across, down in starts
        for _ in range(top, height, down)
        if range(left, width, across)
    ]
    whole = png(width, height, colour, depth, b"".join(rows), interlace=1)
    assert decode(whole, LIMITS, "apply").width == width
    with pytest.raises(contract.Corrupt, match="cut off"):
        decode(png(width, height, colour, depth, b"".join(rows)[:-1], interlace=1), LIMITS, "apply")

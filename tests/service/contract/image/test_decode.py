"""Decoding: formats by their content, orientation, colours, and refusals with their reason."""

import io
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from service.contract.image import image_errors as contract
from service.contract.image.decode import decode, sniff
from service.contract.image.image_errors import Limits
from tests.service.contract.image.pictures import LIMITS, gradient


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP"])
def test_a_format_is_known_by_its_content(encode, file_format):
    payload = encode(gradient(), file_format)
    assert sniff(payload[:12]) == file_format
    decoded = decode(payload, LIMITS, "apply")
    assert (decoded.format, decoded.width, decoded.height, decoded.rgb.mode) == (file_format, 64, 48, "RGB")


@pytest.mark.parametrize("head", [b"", b"\xff", b"GIF89a", b"<svg xmlns=", b"RIFF1234WAVE", b"\x89PNG\r\n\x1a"])
def test_other_first_bytes_are_refused(head):
    with pytest.raises(contract.UnsupportedFormat):
        sniff(head)


@pytest.mark.parametrize("file_format", ["PNG", "WEBP"])
def test_animations_are_refused(encode, file_format):
    frames = [gradient(), gradient().rotate(180)]
    payload = encode(frames[0], file_format, save_all=True, append_images=frames[1:])
    with pytest.raises(contract.Animated, match="only still pictures"):
        decode(payload, LIMITS, "apply")


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.9])
def test_a_truncated_picture_is_refused_never_scored(encode, file_format, share):
    payload = encode(gradient(400, 300), file_format)
    with pytest.raises(contract.ImageError):
        decode(payload[: int(len(payload) * share)], LIMITS, "apply")


@settings(max_examples=150)
@given(data=st.data())
def test_corrupt_bytes_decode_or_raise_image_error(data):
    buffer = io.BytesIO()
    gradient().save(buffer, data.draw(st.sampled_from(["JPEG", "PNG", "WEBP"])))
    payload = bytearray(buffer.getvalue())
    for _ in range(data.draw(st.integers(1, 8))):
        payload[data.draw(st.integers(12, len(payload) - 1))] = data.draw(st.integers(0, 255))
    try:
        decoded = decode(bytes(payload), Limits(max_pixels=1_000_000), "apply")
    except contract.ImageError:
        return
    assert decoded.rgb.mode == "RGB"


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_exif_orientation_shows_the_same_picture(encode, orientation):
    upright = gradient()
    back = {
        2: [Image.Transpose.FLIP_LEFT_RIGHT],
        3: [Image.Transpose.ROTATE_180],
        4: [Image.Transpose.FLIP_TOP_BOTTOM],
        5: [Image.Transpose.TRANSPOSE],
        6: [Image.Transpose.ROTATE_90],
        7: [Image.Transpose.TRANSVERSE],
        8: [Image.Transpose.ROTATE_270],
    }
    stored = upright
    for step in back.get(orientation, []):
        stored = stored.transpose(step)
    exif = Image.Exif()
    exif[0x0112] = orientation
    decoded = decode(encode(stored, "PNG", exif=exif), LIMITS, "apply")
    assert np.array_equal(np.asarray(decoded.rgb), np.asarray(upright))
    ignored = decode(encode(stored, "PNG", exif=exif), LIMITS, "ignore")
    assert np.array_equal(np.asarray(ignored.rgb), np.asarray(stored))


@pytest.mark.parametrize(
    ("tag", "kind", "value"),
    [(0x010F, 5, struct.pack("<II", 1, 2)), (0x010F, 11, struct.pack("<f", 1.0)), (0x011A, 2, b"72 dpi\0\0")],
    ids=["Make as rational", "Make as float", "XResolution as text"],
)
def test_an_odd_exif_tag_has_no_say_in_the_pixels(encode, tag, kind, value):
    """Found in review: turning through Pillow's own helper rewrote every tag, and failed on these."""
    count = len(value) if kind == 2 else 1
    data = value if len(value) <= 4 else b""
    entries = [(tag, kind, count, data), (0x0112, 3, 1, struct.pack("<HH", 6, 0))]
    offset = 8 + 2 + 12 * len(entries) + 4
    tiff = b"II*\0" + struct.pack("<IH", 8, len(entries))
    for number, type_, length, inline in sorted(entries):
        tiff += struct.pack("<HHI", number, type_, length) + (inline or struct.pack("<I", offset))
    tiff += struct.pack("<I", 0) + value
    payload = encode(gradient(), "JPEG", exif=b"Exif\0\0" + tiff)
    decoded = decode(payload, LIMITS, "apply")
    assert (decoded.width, decoded.height) == (48, 64)


def test_greyscale_fills_all_three_channels(encode):
    grey = gradient().convert("L")
    rgb = np.asarray(decode(encode(grey, "PNG"), LIMITS, "apply").rgb)
    assert all(np.array_equal(rgb[:, :, channel], np.asarray(grey)) for channel in range(3))


def test_bilevel_becomes_black_and_white(encode):
    rgb = np.asarray(decode(encode(gradient().convert("1"), "PNG"), LIMITS, "apply").rgb)
    assert set(np.unique(rgb)) == {0, 255}


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_alpha_is_composited_over_white(encode, mode):
    image = gradient().convert(mode)
    image.putalpha(0)
    assert (np.asarray(decode(encode(image, "PNG"), LIMITS, "apply").rgb) == 255).all()

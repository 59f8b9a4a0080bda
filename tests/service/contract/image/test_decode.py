"""Image: one decode, one resize; what is refused is refused with its reason."""

import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from service.contract.image import image_errors as contract
from service.contract.image.decode import decode, sniff
from service.contract.image.image_errors import Limits
from service.contract.image.resize import resize, to_tensor
from service.contract.spec import Preprocessing

LIMITS = Limits()


def gradient(width: int = 64, height: int = 48) -> Image.Image:
    x, y = np.meshgrid(np.linspace(0, 255, width), np.linspace(0, 255, height))
    return Image.fromarray(np.stack([x, y, 255 - x], axis=2).astype(np.uint8))


def png(width: int, height: int, colour: int = 2, depth: int = 8, body: bytes = b"", interlace: int = 0) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlace)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(body)) + chunk(b"IEND", b"")


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


def test_too_many_bytes_names_value_and_limit(encode):
    with pytest.raises(contract.TooManyBytes, match=r"\d+ bytes are over the limit of 100"):
        decode(encode(gradient()), Limits(max_bytes=100), "apply")


def test_900_megapixels_are_refused_from_the_header_alone():
    with pytest.raises(contract.TooManyPixels, match="900000000 pixels are over the limit of 50000000"):
        decode(png(30_000, 30_000, colour=0, depth=1), LIMITS, "apply")


def test_a_side_under_the_limit_is_refused(encode):
    with pytest.raises(contract.TooSmall, match="31 x 300 pixels: the shorter side is below the minimum of 32"):
        decode(encode(gradient(31, 300)), LIMITS, "apply")


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


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_corruption_is_an_image_error_or_a_picture_never_another_exception(data):
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


def test_palette_goes_through_its_colours(encode):
    palette = gradient().quantize(16)
    expected = np.asarray(palette.convert("RGB"))
    assert np.array_equal(np.asarray(decode(encode(palette, "PNG"), LIMITS, "apply").rgb), expected)


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_alpha_is_composited_over_white(encode, mode):
    image = gradient().convert(mode)
    image.putalpha(0)
    assert (np.asarray(decode(encode(image, "PNG"), LIMITS, "apply").rgb) == 255).all()


def test_palette_transparency_is_composited_over_white(encode):
    palette = gradient().quantize(4)
    payload = encode(palette, "PNG", transparency=bytes([0, 0, 0, 0]))
    assert (np.asarray(decode(payload, LIMITS, "apply").rgb) == 255).all()


def test_cmyk_looks_like_the_picture_it_came_from(encode):
    rgb = np.asarray(decode(encode(gradient().convert("CMYK"), quality=95), LIMITS, "apply").rgb, dtype=int)
    assert np.abs(rgb - np.asarray(gradient(), dtype=int)).mean() < 6


def test_sixteen_bits_keep_the_high_byte(encode):
    samples = np.linspace(0, 65535, 64 * 48).astype(np.uint16).reshape(48, 64)
    rgb = np.asarray(decode(encode(Image.fromarray(samples), "PNG"), LIMITS, "apply").rgb)
    assert np.array_equal(rgb[:, :, 0], (samples >> 8).astype(np.uint8))


def test_sixteen_bit_colour_keeps_the_high_byte():
    samples = np.random.default_rng(0).integers(0, 65536, (40, 40, 3), dtype=np.uint16)
    body = b"".join(b"\0" + row.astype(">u2").tobytes() for row in samples)
    rgb = np.asarray(decode(png(40, 40, colour=2, depth=16, body=body), LIMITS, "apply").rgb)
    assert np.array_equal(rgb, (samples >> 8).astype(np.uint8))


def test_a_png_and_its_lossless_webp_give_the_same_tensor(encode, astronaut):
    how = Preprocessing(128, 128, "bicubic", "crop", "apply")
    first, second = (
        to_tensor(decode(payload, LIMITS, "apply"), how)
        for payload in (encode(astronaut, "PNG"), encode(astronaut, "WEBP", lossless=True))
    )
    assert np.array_equal(first, second)


def test_crop_is_the_centre_square_of_the_shortest_side():
    image = Image.fromarray(np.repeat(np.arange(200, dtype=np.uint8)[None, :, None], 100, 0).repeat(3, 2))
    cropped = np.asarray(resize(image, 100, 100, "bicubic", "crop"))
    assert np.array_equal(cropped, np.asarray(image)[:, 50:150])


def test_antialiasing_averages_where_nearest_picks():
    """Nearest keeps single pixels of fine stripes; an antialiased filter sees their mean."""
    stripes = Image.fromarray(np.tile(np.array([0, 255], np.uint8)[None, :, None], (256, 128, 3)))
    assert set(np.unique(np.asarray(resize(stripes, 64, 64, "nearest", "stretch")))) <= {0, 255}
    assert np.abs(np.asarray(resize(stripes, 64, 64, "bicubic", "stretch"), dtype=int)[:, 4:-4] - 127).max() < 3


@settings(max_examples=30, deadline=None)
@given(
    width=st.integers(32, 90),
    height=st.integers(32, 90),
    side=st.integers(1, 80),
    resize_filter=st.sampled_from(["nearest", "box", "bilinear", "hamming", "bicubic", "lanczos"]),
    fit=st.sampled_from(["stretch", "crop"]),
)
def test_every_size_filter_and_fit_gives_exactly_the_asked_tensor(width, height, side, resize_filter, fit):
    first, second = (np.asarray(resize(gradient(width, height), side, side + 1, resize_filter, fit)) for _ in range(2))
    assert first.shape == (side, side + 1, 3)
    assert np.array_equal(first, second)


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0}, {"quality": 100}])
def test_a_jpeg_has_the_pixels_that_pillow_gives_it(encode, astronaut, mode, options):
    payload = encode(astronaut.resize((211, 157)).convert(mode), **options)
    with Image.open(io.BytesIO(payload)) as pillows:
        expected = np.asarray(pillows.convert("RGB"))
    assert np.array_equal(np.asarray(decode(payload, LIMITS, "apply").rgb), expected)


@pytest.mark.parametrize(("colour", "depth"), [(0, 1), (0, 4), (0, 16), (2, 8), (2, 16), (4, 8), (6, 16)])
@pytest.mark.parametrize("size", [(32, 32), (33, 35), (39, 32)])
def test_an_interlaced_png_is_whole_with_the_bytes_of_its_seven_passes(colour, depth, size):
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


def test_padding_in_front_of_a_jpegs_end_is_no_damage(encode):
    payload = encode(gradient(), quality=90)
    padded = payload[:-2] + bytes(6) + payload[-2:]
    assert np.array_equal(
        np.asarray(decode(padded, LIMITS, "apply").rgb), np.asarray(decode(payload, LIMITS, "apply").rgb)
    )


def test_a_jpeg_whose_sampling_turbojpeg_does_not_know_is_refused(encode):
    """Inks with subsampling: only a decoder that passes over missing data would read them."""
    with pytest.raises(contract.Corrupt, match="subsampling"):
        decode(encode(gradient().convert("CMYK"), subsampling=1), LIMITS, "apply")

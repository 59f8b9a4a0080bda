"""EXIF: the orientation in either byte order, the camera, and directories of any bytes."""

import struct
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from service.contract.image.exif import MAX_EXIF_BYTES, camera, orientation


def tiff(order: str, *entries: tuple[int, int, int, int]) -> bytes:
    body = b"".join(
        struct.pack(order + "HHI", tag, kind, count) + struct.pack(order + ("H2x" if kind == 3 else "I"), value)
        for tag, kind, count, value in entries
    )
    return (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "IH", 8, len(entries)) + body + bytes(4)


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("kind", [3, 4], ids=["SHORT", "LONG"])
@pytest.mark.parametrize("prefix", [b"", b"Exif\0\0"])
@pytest.mark.parametrize("turn", range(1, 9))
def test_it_is_found_in_either_byte_order(order, kind, prefix, turn):
    assert orientation(prefix + tiff(order, (0x010F, 4, 1, 5), (0x0112, kind, 1, turn))) == turn


@pytest.mark.parametrize("value", [0, 9, 65535])
def test_one_that_there_is_not_leaves_the_picture_as_it_is(value):
    assert orientation(tiff("<", (0x0112, 3, 1, value))) == 1


@given(turn=st.integers(1, 8))
def test_it_is_what_pillow_reads(turn):
    exif = Image.Exif()
    exif[0x0112], exif[0x010F], exif[0x8769] = turn, "Maker", {0x9003: "2020:01:01 00:00:00"}
    assert orientation(exif.tobytes()) == turn


@given(st.binary(max_size=400))
def test_any_bytes_are_an_orientation(data):
    assert orientation(data) in range(1, 9)
    assert orientation(b"II*\0" + data) in range(1, 9)


def test_exif_entries_that_share_bytes_take_no_memory():
    """Found in review: a general reader copies what each entry points at, 262 GB here."""
    entries = b"".join(struct.pack("<HHII", number, 7, 4_000_000, 8) for number in range(65_535) if number != 0x0112)
    data = b"II*\0" + struct.pack("<IH", 8, 65_535) + entries + bytes(4_000_000)
    tracemalloc.start()
    try:
        assert orientation(data) == 1
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


@given(st.binary(max_size=2000), st.sampled_from([b"", b"II*\0\x08\0\0\0", b"Exif\0\0MM\0*\0\0\0\x08"]))
def test_any_bytes_are_read_as_exif_without_harm(data, head):
    for value in camera(head + data).values():
        assert value.isascii()
        assert 0 < len(value) <= 64


def test_exif_with_many_entries_is_read_in_linear_time():
    entries = struct.pack("<HHII", 0x010F, 2, MAX_EXIF_BYTES, 0) * 5000
    data = b"II*\0\x08\0\0\0" + struct.pack("<H", 5000) + entries
    assert set(camera(data)) <= {"make"}
    loop = b"II*\0\x08\0\0\0" + struct.pack("<H", 1) + struct.pack("<HHII", 0x8769, 4, 1, 8)
    assert camera(loop) == {}

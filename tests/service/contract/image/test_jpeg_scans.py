"""Scans of a JPEG: what a decoder passes over in silence is refused here."""

import io
import re

import pytest
from PIL import Image

from service.contract.image.decode import decode
from service.contract.image.image_errors import Corrupt, Limits
from service.contract.image.jpeg_scans import Scans

# 8 bits, 2 rows, 3 columns, three components without subsampling.
FRAME = bytes((8, 0, 2, 0, 3, 3, 1, 0x11, 0, 2, 0x11, 1, 3, 0x11, 1))


def scan(names: tuple[int, ...], first: int, last: int, bits: int) -> bytes:
    return bytes((len(names), *(byte for name in names for byte in (name, 0)), first, last, bits))


def test_baseline_scan_of_all_components_is_complete():
    """A sequential scan holds everything, whatever its last three bytes say."""
    scans = Scans(FRAME, progressive=False)
    assert (scans.width, scans.height) == (3, 2)
    scans.add(scan((1, 2), 0, 0, 5))
    with pytest.raises(Corrupt, match="64 of 192 coefficients"):
        scans.check_complete()
    scans.add(scan((3,), 0, 63, 0))
    scans.check_complete()


def test_progressive_scan_without_its_last_bit_is_incomplete():
    """A progressive JPEG that is cut between two scans is only coarse."""
    scans = Scans(FRAME, progressive=True)
    scans.add(scan((1, 2, 3), 0, 0, 0x01))
    for name in (1, 2, 3):
        scans.add(scan((name,), 1, 63, 0x00))
    with pytest.raises(Corrupt, match="3 of 192 coefficients"):
        scans.check_complete()
    scans.add(scan((1, 2, 3), 0, 0, 0x10))
    scans.check_complete()


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        (b"", "0 colour components in 0 bytes"),
        (FRAME[:-1], "3 colour components in 14 bytes"),
        (b"\x0c" + FRAME[1:], "12 bits per sample"),
        (FRAME[:9] + b"\x01" + FRAME[10:], "defines a colour component twice"),
        (bytes((8, 0, 2, 0, 3, 2, 1, 0x11, 0, 2, 0x11, 1)), "2 colour components"),
    ],
)
def test_frame_header_that_is_malformed_is_refused(frame, words):
    """The refusal says what the header holds."""
    with pytest.raises(Corrupt, match=words):
        Scans(frame, progressive=False)


@pytest.mark.parametrize("header", [b"", b"\x00\x00\x3f\x00", scan((4,), 0, 63, 0), scan((1,), 0, 63, 0) + b"\x00"])
def test_scan_header_that_is_malformed_is_refused(header):
    """A scan of a component that the frame does not define delivers nothing."""
    with pytest.raises(Corrupt, match="refers to components that the frame does not define"):
        Scans(FRAME, progressive=True).add(header)


def test_more_than_100_scans_are_refused():
    """Each costs a pass over all the pixels."""
    scans = Scans(FRAME, progressive=True)
    for _ in range(100):
        scans.add(scan((1,), 0, 0, 0))
    with pytest.raises(Corrupt, match="more than 100 scans"):
        scans.add(scan((1,), 0, 0, 0))


def test_file_cut_between_scans_and_closed_is_refused(astronaut):
    """Pillow and TurboJPEG decode such a file without an error."""
    buffer = io.BytesIO()
    astronaut.resize((64, 64)).save(buffer, "JPEG", progressive=True)
    whole = buffer.getvalue()
    last = [match.start() for match in re.finditer(b"\xff\xda", whole)][-1]
    cut = whole[:last] + b"\xff\xd9"
    Image.open(io.BytesIO(cut)).load()
    with pytest.raises(Corrupt, match="the JPEG is cut off"):
        decode(cut, Limits(), "apply")
    decode(whole, Limits(), "apply")

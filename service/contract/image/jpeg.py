"""JPEG reader: the segments of one picture (ITU-T T.81), and a decoder that refuses cut or damaged data.

libjpeg fills missing data with grey and continues, and an end marker may have been added after a cut. TurboJPEG
reports missing data, so it decodes here; its pixels equal Pillow's to the bit.
"""

import re
import threading
from typing import Final

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image

from service.contract.image.exif import orientation
from service.contract.image.image_errors import Corrupt, Limits
from service.contract.image.jpeg_scans import Scans
from service.contract.image.still import Still

_SOI, _EOI, _SOS, _DQT, _DHT, _DRI, _COM, _APP0, _APP1, _APP14 = (
    0xD8, 0xD9, 0xDA, 0xDB, 0xC4, 0xDD, 0xFE, 0xE0, 0xE1, 0xEE,
)  # fmt: skip
_FRAMES: Final = range(0xC0, 0xD0)
# Baseline, extended sequential and progressive, all with Huffman coding: the types that browsers support.
_KNOWN_FRAMES: Final = (0xC0, 0xC1, 0xC2)
# These determine the pixels; JFIF and Adobe segments state the colour space.
_KEPT: Final = (_DQT, _DHT, _DRI, _SOS, _APP0, _APP14, *_KNOWN_FRAMES)
_SKIPPED: Final = (_COM, *range(_APP1, 0xF0))
_MAX_SEGMENTS: Final = 4096
_MARKER: Final = re.compile(rb"\xff[^\x00\xff]")
# Restart markers belong to the coded data.
_END_OF_SCAN: Final = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
_EXIF: Final = b"Exif\0\0"
# For each colour space of a file: TurboJPEG's pixel format, Pillow's mode and raw mode. CMYK is stored inverted, as
# Adobe's programs write it.
_LAYOUTS: Final = {
    "Gray": ("GRAY", "L", "L"),
    "YCbCr": ("RGBX", "RGB", "RGBX"),
    "RGB": ("RGBX", "RGB", "RGBX"),
    "CMYK": ("CMYK", "CMYK", "CMYK;I"),
    "YCCK": ("CMYK", "CMYK", "CMYK;I"),
}
_CHANNELS: Final = {"GRAY": 1, "RGBX": 4, "CMYK": 4}
_THREAD: Final = threading.local()
_MAX_SCRATCH_BYTES: Final = 16 * 1024 * 1024
_PADDING_ERROR: Final = "extraneous bytes before marker 0xd9"


def read(payload: bytes, limits: Limits) -> Still:
    """Read the segments up to the end of the first picture; later data (MPO, gain maps) are ignored.

    Raises:
        ImageError: the file is cut off, damaged or of an unsupported type, or its size is outside the limits.
    """
    view, offset, kept = memoryview(payload), 2, bytearray((0xFF, _SOI))
    exif, scans = b"", None
    for _ in range(_MAX_SEGMENTS):
        match = _MARKER.search(payload, offset)
        if not match:
            raise Corrupt(f"the JPEG is cut off: it ends after {len(payload)} bytes, without an end marker")
        offset, marker = match.start() + 2, payload[match.start() + 1]
        if marker == _EOI:
            if not scans:
                raise Corrupt("the JPEG contains no picture: it has no frame header")
            scans.check_complete()
            return Still("JPEG", scans.width, scans.height, orientation(exif), bytes(kept) + b"\xff\xd9", exif)
        data = _segment(view, offset, marker)
        if marker in _FRAMES and marker != _DHT:
            if marker not in _KNOWN_FRAMES or scans:
                raise Corrupt(
                    f"the JPEG has a second frame or an unsupported frame type {marker:#x}; "
                    "one baseline, extended sequential or progressive frame is supported"
                )
            scans = Scans(bytes(data), progressive=marker == 0xC2)
            limits.check_size(scans.width, scans.height)
        if marker in _KEPT:
            kept += view[offset - 2 : offset + 2]
            kept += _normalised(marker, bytes(data), scans)
        elif marker == _APP1 and not exif and bytes(data[:6]) == _EXIF:
            exif = bytes(data)
        offset += 2 + len(data)
        if marker == _SOS:
            if not scans:
                raise Corrupt("the JPEG has a scan before the frame header")
            scans.add(bytes(data))
            end = _END_OF_SCAN.search(payload, offset)
            kept += view[offset : end.start() if end else len(payload)]
            offset = end.start() if end else len(payload)
    raise Corrupt(f"the JPEG has more than {_MAX_SEGMENTS} segments")


def _normalised(marker: int, data: bytes, scans: Scans | None) -> bytes:
    """Return a segment's data, with unambiguous values that TurboJPEG refuses replaced by standard ones."""
    if marker == _SOS and scans and not scans.progressive:
        return data[:-3] + b"\0\x3f\0"  # a sequential scan holds all coefficients; some cameras write none
    if marker == _APP0 and data[:5] == b"JFIF\0":
        return data[:5] + b"\1" + data[6:]  # any version is accepted
    return data


def _segment(view: memoryview, offset: int, marker: int) -> memoryview:
    """Return the data of the segment whose length field is at an offset."""
    if marker not in _KEPT and marker not in _SKIPPED and marker not in _FRAMES:
        raise Corrupt(f"the JPEG is damaged: it has an unexpected marker {marker:#x}")
    length = int.from_bytes(view[offset : offset + 2])
    if length < 2 or offset + length > len(view):
        raise Corrupt(
            f"the JPEG is cut off or damaged: a segment {marker:#x} of {length} bytes "
            f"starts {len(view) - offset} bytes before the end of the file"
        )
    return view[offset + 2 : offset + length]


def pixels(still: Still) -> Image.Image:
    """Decode to mode L, RGB or CMYK.

    Raises:
        Corrupt: the chroma subsampling is not supported, or TurboJPEG reports an error or a warning.
    """
    try:
        _, _, colour_space, _ = simplejpeg.decode_jpeg_header(still.stream)
        pixel_format, mode, raw_mode = _LAYOUTS[colour_space]
        samples = _decode_samples(still.stream, pixel_format, still.width * still.height * _CHANNELS[pixel_format])
    except KeyError:  # simplejpeg's table of subsamplings lacks one that TurboJPEG supports
        raise Corrupt("the JPEG's chroma subsampling is not supported") from None
    except ValueError as error:
        raise Corrupt(f"the JPEG is cut off or damaged: {error}") from None
    # frombytes copies the samples: they may lie in the buffer that the next picture is decoded into.
    return Image.frombytes(mode, (still.width, still.height), samples.reshape(-1).data, "raw", raw_mode)


def _decode_samples(stream: bytes, pixel_format: str, samples: int) -> NDArray[np.uint8]:
    buffer = _scratch(samples)
    try:
        decoded: NDArray[np.uint8] = simplejpeg.decode_jpeg(stream, pixel_format, buffer=buffer)
    except ValueError as error:
        # Some cameras write padding before the end marker, but padding may also hide a cut. Decode without it: then
        # missing data are reported.
        if not str(error).endswith(_PADDING_ERROR):
            raise
        decoded = _without_padding(stream, pixel_format)
    return decoded


def _scratch(samples: int) -> NDArray[np.uint8] | None:
    """Return this thread's reusable buffer, or None for a picture over 16 MiB, which would hold too much memory.

    Fresh memory costs more than the copy made of it, because the system clears it page by page.
    """
    if samples > _MAX_SCRATCH_BYTES:
        return None
    buffer: NDArray[np.uint8] | None = getattr(_THREAD, "buffer", None)
    if buffer is None or buffer.size < samples:
        buffer = _THREAD.buffer = np.empty(samples, np.uint8)
    return buffer


def _without_padding(stream: bytes, pixel_format: str) -> NDArray[np.uint8]:
    data = stream[:-2].rstrip(b"\0")
    last_error = ValueError(_PADDING_ERROR)
    for zeros in range(3):  # up to two zero bytes may belong to the data
        try:
            decoded: NDArray[np.uint8] = simplejpeg.decode_jpeg(data + bytes(zeros) + stream[-2:], pixel_format)
        except ValueError as error:
            last_error = error
        else:
            return decoded
    raise last_error

"""JPEG: the segments of one picture (ITU-T T.81), and a decode that refuses what is cut or damaged.

libjpeg fills what is missing with grey and goes on; the picture's end may have been put there by whoever cut it.
TurboJPEG tells, so it decodes here; its pixels are Pillow's to the bit.
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
# Baseline, extended sequential and progressive, all with Huffman coding: what browsers show.
_KNOWN_FRAMES: Final = (0xC0, 0xC1, 0xC2)
# These decide the pixels; JFIF and Adobe segments say which colours they are.
_KEPT: Final = (_DQT, _DHT, _DRI, _SOS, _APP0, _APP14, *_KNOWN_FRAMES)
_PASSED_OVER: Final = (_COM, *range(_APP1, 0xF0))
_MOST_SEGMENTS: Final = 4096
_MARKER: Final = re.compile(rb"\xff[^\x00\xff]")
# Restart markers are a part of the coded data.
_END_OF_SCAN: Final = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
_EXIF: Final = b"Exif\0\0"
# By the colours of the file: what TurboJPEG is asked for, and what Pillow makes of it. Inks are stored inverted, as by
# Adobe's programs.
_LAYOUTS: Final = {
    "Gray": ("GRAY", "L", "L"),
    "YCbCr": ("RGBX", "RGB", "RGBX"),
    "RGB": ("RGBX", "RGB", "RGBX"),
    "CMYK": ("CMYK", "CMYK", "CMYK;I"),
    "YCCK": ("CMYK", "CMYK", "CMYK;I"),
}
_CHANNELS: Final = {"GRAY": 1, "RGBX": 4, "CMYK": 4}
_THREAD: Final = threading.local()
_MOST_SCRATCH: Final = 16 * 1024 * 1024
_PADDED: Final = "extraneous bytes before marker 0xd9"


def read(payload: bytes, limits: Limits) -> Still:
    """Read the segments up to the first picture's end; what follows (MPO, gain maps) has no say.

    Raises:
        ImageError: cut, damaged, a kind that is not read, or a size over the limits.
    """
    view, at, kept = memoryview(payload), 2, bytearray((0xFF, _SOI))
    exif, scans = b"", None
    for _ in range(_MOST_SEGMENTS):
        found = _MARKER.search(payload, at)
        if not found:
            raise Corrupt(f"the JPEG is cut off: it ends after {len(payload)} bytes, without its end marker")
        at, marker = found.start() + 2, payload[found.start() + 1]
        if marker == _EOI:
            if not scans:
                raise Corrupt("the JPEG has no pixels")
            scans.check_complete()
            return Still("JPEG", scans.width, scans.height, orientation(exif), bytes(kept) + b"\xff\xd9", exif)
        data = _segment(view, at, marker)
        if marker in _FRAMES and marker != _DHT:
            if marker not in _KNOWN_FRAMES or scans:
                raise Corrupt(f"the JPEG has a frame of kind {marker:#x}: baseline or progressive, and one, is read")
            scans = Scans(bytes(data), progressive=marker == 0xC2)
            limits.check_size(scans.width, scans.height)
        if marker in _KEPT:
            kept += view[at - 2 : at + 2]
            kept += _usual(marker, bytes(data), scans)
        elif marker == _APP1 and not exif and bytes(data[:6]) == _EXIF:
            exif = bytes(data)
        at += 2 + len(data)
        if marker == _SOS:
            if not scans:
                raise Corrupt("the JPEG has pixels before their header")
            scans.add(bytes(data))
            end = _END_OF_SCAN.search(payload, at)
            kept += view[at : end.start() if end else len(payload)]
            at = end.start() if end else len(payload)
    raise Corrupt(f"the JPEG has more than {_MOST_SEGMENTS} segments")


def _usual(marker: int, data: bytes, scans: Scans | None) -> bytes:
    """Return a segment as TurboJPEG wants it where it takes offence at what cannot mean anything else."""
    if marker == _SOS and scans and not scans.progressive:
        return data[:-3] + b"\0\x3f\0"  # a sequential scan is of all coefficients; some cameras write none
    if marker == _APP0 and data[:5] == b"JFIF\0":
        return data[:5] + b"\1" + data[6:]  # whatever its version
    return data


def _segment(view: memoryview, at: int, marker: int) -> memoryview:
    """Return the data of the segment whose length stands at an offset."""
    if marker not in _KEPT and marker not in _PASSED_OVER and marker not in _FRAMES:
        raise Corrupt(f"the JPEG is damaged: a marker {marker:#x} stands where none may be")
    length = int.from_bytes(view[at : at + 2])
    if length < 2 or at + length > len(view):
        raise Corrupt(f"the JPEG is cut off: a segment {marker:#x} of {length} bytes, {len(view) - at} before the end")
    return view[at + 2 : at + length]


def pixels(still: Still) -> Image.Image:
    """Decode to mode L, RGB or CMYK.

    Raises:
        Corrupt: TurboJPEG met anything that it had to make up for.
    """
    try:
        _, _, colours, _ = simplejpeg.decode_jpeg_header(still.stream)
        kind, mode, raw = _LAYOUTS[colours]
        samples = _decoded(still.stream, kind, still.width * still.height * _CHANNELS[kind])
    except KeyError:  # of simplejpeg's table of subsamplings, which lacks one that TurboJPEG knows
        raise Corrupt("the JPEG has a subsampling that is not read here") from None
    except ValueError as error:
        raise Corrupt(f"the JPEG is cut off or damaged: {error}") from None
    # A copy, because the samples may lie in memory that the next picture is decoded into.
    return Image.frombytes(mode, (still.width, still.height), samples.reshape(-1).data, "raw", raw)


def _decoded(stream: bytes, kind: str, samples: int) -> NDArray[np.uint8]:
    buffer = _scratch(samples)
    try:
        whole: NDArray[np.uint8] = simplejpeg.decode_jpeg(stream, kind, buffer=buffer)
    except ValueError as error:
        # Some cameras pad in front of the end; so would somebody who cut it. Nothing may be missing without it.
        if not str(error).endswith(_PADDED):
            raise
        whole = _without_padding(stream, kind)
    return whole


def _scratch(samples: int) -> NDArray[np.uint8] | None:
    """Return memory of this thread's own, used anew for each picture; None for one so large that it would be a waste.

    Fresh memory costs more than the copy that is made of it: the system clears it page by page.
    """
    if samples > _MOST_SCRATCH:
        return None
    buffer: NDArray[np.uint8] | None = getattr(_THREAD, "buffer", None)
    if buffer is None or buffer.size < samples:
        buffer = _THREAD.buffer = np.empty(samples, np.uint8)
    return buffer


def _without_padding(stream: bytes, kind: str) -> NDArray[np.uint8]:
    data = stream[:-2].rstrip(b"\0")
    problem = ValueError(_PADDED)
    for zeros in range(3):  # the last of which may be the data's own
        try:
            whole: NDArray[np.uint8] = simplejpeg.decode_jpeg(data + bytes(zeros) + stream[-2:], kind)
        except ValueError as error:
            problem = error
        else:
            return whole
    raise problem

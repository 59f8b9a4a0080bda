"""PNG reader: the chunks of a still picture (W3C PNG, third edition), checked for completeness and damage.

Decoders differ in which checksums they verify; this module verifies every chunk that affects the pixels. Decoders
also leave the rest of the picture black if the compressed data end early, so the data are counted first.
"""

import struct
import zlib
from dataclasses import dataclass
from typing import Final

from service.contract.image.exif import MAX_EXIF_BYTES, orientation
from service.contract.image.image_errors import Animated, Corrupt, Limits
from service.contract.image.still import Still

SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
_MAX_CHUNKS: Final = 100_000
_ANIMATION: Final = (b"acTL", b"fcTL", b"fdAT")
_KNOWN_CHUNKS: Final = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND", b"eXIf")
_BEFORE_PIXELS: Final = (b"PLTE", b"tRNS")
_PALETTE: Final = 3
# A lower-case first letter marks a chunk that a decoder may ignore.
_ANCILLARY: Final = 0x20
_INFLATE_STEP_BYTES: Final = 1 << 20
# Allowed bits per sample, and samples per pixel, of each colour type.
_DEPTHS: Final = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
_CHANNELS: Final = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
# Adam7: first column, first row, column step and row step of each pass.
_PASSES: Final = (
    (0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2),
)  # fmt: skip


def read(payload: bytes, limits: Limits) -> Still:
    """Read the chunks up to the end of the picture.

    Raises:
        ImageError: the file is cut off, damaged or an animation, or its size is outside the limits.
    """
    view, offset, kept = memoryview(payload), len(SIGNATURE), bytearray(SIGNATURE)
    header = _Header(0, 0, 1, 0, 1, False)
    exif, seen_types, previous_type = b"", set[bytes](), b""
    inflated = _Inflated()
    for _ in range(_MAX_CHUNKS):
        length, chunk_type, data = _chunk(view, offset)
        if not seen_types:
            header = _header(chunk_type, data)
            limits.check_size(header.width, header.height)
        elif chunk_type == b"IHDR" or (chunk_type == b"IDAT" in seen_types and previous_type != b"IDAT"):
            raise Corrupt(f"the PNG has a misplaced {chunk_type.decode()} chunk")
        if chunk_type in _ANIMATION:
            raise Animated("the PNG is animated; only still pictures are supported")
        if chunk_type not in _KNOWN_CHUNKS:
            if not chunk_type[0] & _ANCILLARY:
                raise Corrupt(f"the PNG has an unknown critical chunk {chunk_type!r}")
        elif chunk_type == b"eXIf":
            exif = bytes(data)
        else:
            if chunk_type == b"IDAT":
                inflated.add(data, header.raw_bytes())
            elif chunk_type in _BEFORE_PIXELS:
                _check_colours(chunk_type, len(data), header, seen_types)
            kept += view[offset : offset + length + 12]
        seen_types.add(chunk_type)
        previous_type, offset = chunk_type, offset + length + 12
        if chunk_type == b"IEND":
            if header.colour == _PALETTE and b"PLTE" not in seen_types:
                raise Corrupt("the PNG uses a palette but has no PLTE chunk")
            if inflated.count < header.raw_bytes():
                raise Corrupt(f"the PNG is cut off: it has {inflated.count} of {header.raw_bytes()} bytes of pixels")
            return Still("PNG", header.width, header.height, orientation(exif), bytes(kept), exif[:MAX_EXIF_BYTES])
    raise Corrupt(f"the PNG has more than {_MAX_CHUNKS} chunks")


def _check_colours(chunk_type: bytes, length: int, header: "_Header", seen_types: set[bytes]) -> None:
    """Refuse a palette or transparency chunk that is misplaced, repeated or of an invalid length."""
    entries = {b"PLTE": 3 << header.depth, b"tRNS": {0: 2, 2: 6, _PALETTE: 1 << header.depth}.get(header.colour, 0)}
    max_length = min(768, entries[chunk_type]) if header.colour == _PALETTE or chunk_type == b"tRNS" else 768
    if (
        b"IDAT" in seen_types
        or chunk_type in seen_types
        or length > max_length
        or (chunk_type == b"PLTE" and (length % 3 or not length))
    ):
        raise Corrupt(
            f"the PNG's {chunk_type.decode()} chunk of {length} bytes is misplaced, repeated or of an invalid length"
        )


def _chunk(view: memoryview, offset: int) -> tuple[int, bytes, memoryview]:
    """Return length, type and data of the chunk at an offset, after checking its checksum."""
    if len(view) < offset + 12:
        raise Corrupt(f"the PNG is cut off: it ends after {len(view)} bytes, without an IEND chunk")
    length = int.from_bytes(view[offset : offset + 4])
    chunk_type, data = bytes(view[offset + 4 : offset + 8]), view[offset + 8 : offset + 8 + length]
    if len(view) < offset + 12 + length:
        raise Corrupt(
            f"the PNG is cut off: a chunk {chunk_type!r} of {length} bytes "
            f"starts {len(view) - offset} bytes before the end of the file"
        )
    if chunk_type in _KNOWN_CHUNKS and zlib.crc32(view[offset + 4 : offset + 8 + length]) != int.from_bytes(
        view[offset + 8 + length : offset + 12 + length]
    ):
        raise Corrupt(f"the PNG is damaged: the checksum of chunk {chunk_type.decode()} is wrong")
    return length, chunk_type, data


@dataclass(frozen=True, slots=True)
class _Header:
    """Fields of IHDR: size, pixels; bits per sample; colour type; samples per pixel; whether Adam7 is used."""

    width: int
    height: int
    depth: int
    colour: int
    channels: int
    interlaced: bool

    def raw_bytes(self) -> int:
        """Return the number of inflated bytes of all rows, including the filter byte of each row."""
        passes = _PASSES if self.interlaced else ((0, 0, 1, 1),)
        total = 0
        for left, top, column_step, row_step in passes:
            columns = max(0, -(-(self.width - left) // column_step))
            rows = max(0, -(-(self.height - top) // row_step))
            total += rows * (1 + (columns * self.depth * self.channels + 7) // 8) if columns else 0
        return total


def _header(chunk_type: bytes, data: memoryview) -> _Header:
    if chunk_type != b"IHDR" or len(data) != 13:
        raise Corrupt("the PNG does not start with an IHDR chunk of 13 bytes")
    width, height, depth, colour, compression, filter_method, interlace = struct.unpack(">IIBBBBB", data)
    if depth not in _DEPTHS.get(colour, ()) or compression or filter_method or interlace > 1:
        raise Corrupt(f"the PNG has no valid IHDR chunk: {bytes(data).hex(' ')}")
    return _Header(width, height, depth, colour, _CHANNELS[colour], interlace == 1)


class _Inflated:
    """Counts the inflated bytes of the image data without keeping them."""

    def __init__(self) -> None:
        self.count = 0
        self._stream = zlib.decompressobj()

    def add(self, data: memoryview, limit: int) -> None:
        """Inflate one chunk; data after the first ``limit`` inflated bytes are ignored.

        Raises:
            Corrupt: the chunk is not valid zlib data.
        """
        try:
            for start in range(0, len(data), _INFLATE_STEP_BYTES):
                pending: bytes | memoryview = data[start : start + _INFLATE_STEP_BYTES]
                while pending and self.count < limit and not self._stream.eof:
                    self.count += len(self._stream.decompress(pending, _INFLATE_STEP_BYTES))
                    pending = self._stream.unconsumed_tail
        except zlib.error as error:
            raise Corrupt(f"the PNG is damaged: {error}") from None

"""PNG: the chunks of a still picture (W3C PNG, third edition), each whole and undamaged.

Decoders differ in how many of the checksums they hold a file against; here every chunk with a say in the pixels is.
And where the compressed data end early they leave the rest black; so the data are counted first.
"""

import struct
import zlib
from dataclasses import dataclass
from typing import Final

from service.contract.image.exif import MOST_EXIF, orientation
from service.contract.image.image_errors import Animated, Corrupt, Limits
from service.contract.image.still import Still

SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
_MOST_CHUNKS: Final = 100_000
_ANIMATION: Final = (b"acTL", b"fcTL", b"fdAT")
_READ: Final = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND", b"eXIf")
_BEFORE_PIXELS: Final = (b"PLTE", b"tRNS")
_PALETTE: Final = 3
# A lower-case first letter marks a chunk that a reader may pass over.
_ANCILLARY: Final = 0x20
_PIECE: Final = 1 << 20
# Bits a sample that each colour type may have, and its samples a pixel.
_DEPTHS: Final = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
_CHANNELS: Final = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
# Adam7: first column and row, and how far apart the others are.
_PASSES: Final = (
    (0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2),
)  # fmt: skip


def read(payload: bytes, limits: Limits) -> Still:
    """Read the chunks up to the picture's end.

    Raises:
        ImageError: cut, damaged, an animation, or a size over the limits.
    """
    view, at, kept = memoryview(payload), len(SIGNATURE), bytearray(SIGNATURE)
    header = _Header(0, 0, 1, 0, 1, False)
    exif, kinds, last = b"", set[bytes](), b""
    inflated = _Inflated()
    for _ in range(_MOST_CHUNKS):
        length, kind, data = _chunk(view, at)
        if not kinds:
            header = _header(kind, data)
            limits.check_size(header.width, header.height)
        elif kind == b"IHDR" or (kind == b"IDAT" in kinds and last != b"IDAT"):
            raise Corrupt(f"the PNG has a chunk {kind.decode()} where none may be")
        if kind in _ANIMATION:
            raise Animated("an animated PNG: only still pictures have one verdict")
        if kind not in _READ:
            if not kind[0] & _ANCILLARY:
                raise Corrupt(f"the PNG has a chunk {kind!r} that no reader may pass over, and none here knows")
        elif kind == b"eXIf":
            exif = bytes(data)
        else:
            if kind == b"IDAT":
                inflated.add(data, header.raw_bytes())
            elif kind in _BEFORE_PIXELS:
                _check_colours(kind, len(data), header, kinds)
            kept += view[at : at + length + 12]
        kinds.add(kind)
        last, at = kind, at + length + 12
        if kind == b"IEND":
            if header.colour == _PALETTE and b"PLTE" not in kinds:
                raise Corrupt("the PNG's pixels are of a palette, and it has none")
            if inflated.count < header.raw_bytes():
                raise Corrupt(f"the PNG is cut off: {inflated.count} of {header.raw_bytes()} bytes of pixels")
            return Still("PNG", header.width, header.height, orientation(exif), bytes(kept), exif[:MOST_EXIF])
    raise Corrupt(f"the PNG has more than {_MOST_CHUNKS} chunks")


def _check_colours(kind: bytes, length: int, header: "_Header", before: set[bytes]) -> None:
    """Refuse a palette, or its transparency, in a place or of a length that it cannot have."""
    entries = {b"PLTE": 3 << header.depth, b"tRNS": {0: 2, 2: 6, _PALETTE: 1 << header.depth}.get(header.colour, 0)}
    most = min(768, entries[kind]) if header.colour == _PALETTE or kind == b"tRNS" else 768
    if b"IDAT" in before or kind in before or length > most or (kind == b"PLTE" and (length % 3 or not length)):
        raise Corrupt(f"the PNG has a chunk {kind.decode()} of {length} bytes where none such may be")


def _chunk(view: memoryview, at: int) -> tuple[int, bytes, memoryview]:
    """Return the length, kind and data of the chunk at an offset, once its checksum holds."""
    if len(view) < at + 12:
        raise Corrupt(f"the PNG is cut off: it ends after {len(view)} bytes, without its end chunk")
    length = int.from_bytes(view[at : at + 4])
    kind, data = bytes(view[at + 4 : at + 8]), view[at + 8 : at + 8 + length]
    if len(view) < at + 12 + length:
        raise Corrupt(f"the PNG is cut off: a chunk {kind!r} of {length} bytes begins {len(view) - at} before the end")
    if kind in _READ and zlib.crc32(view[at + 4 : at + 8 + length]) != int.from_bytes(
        view[at + 8 + length : at + 12 + length]
    ):
        raise Corrupt(f"the PNG is damaged: the checksum of a chunk {kind.decode()} is wrong")
    return length, kind, data


@dataclass(frozen=True, slots=True)
class _Header:
    """What IHDR says: size, pixels; bits a sample; colour type; samples a pixel; whether rows come in seven passes."""

    width: int
    height: int
    depth: int
    colour: int
    channels: int
    interlaced: bool

    def raw_bytes(self) -> int:
        """Return how many bytes the rows have once inflated, the filter's byte in front of each included."""
        passes = _PASSES if self.interlaced else ((0, 0, 1, 1),)
        total = 0
        for left, top, across, down in passes:
            columns = max(0, -(-(self.width - left) // across))
            rows = max(0, -(-(self.height - top) // down))
            total += rows * (1 + (columns * self.depth * self.channels + 7) // 8) if columns else 0
        return total


def _header(kind: bytes, data: memoryview) -> _Header:
    if kind != b"IHDR" or len(data) != 13:
        raise Corrupt("the PNG does not begin with its header")
    width, height, depth, colour, compression, kind_of_filter, interlace = struct.unpack(">IIBBBBB", data)
    if depth not in _DEPTHS.get(colour, ()) or compression or kind_of_filter or interlace > 1:
        raise Corrupt(f"the PNG's header is none: {bytes(data).hex(' ')}")
    return _Header(width, height, depth, colour, _CHANNELS[colour], interlace == 1)


class _Inflated:
    """Counts the bytes that the image data inflate to, without keeping them."""

    def __init__(self) -> None:
        self.count = 0
        self._stream = zlib.decompressobj()

    def add(self, data: memoryview, enough: int) -> None:
        """Take in one chunk; what comes once there are ``enough`` bytes is left alone.

        Raises:
            Corrupt: it is not what zlib writes.
        """
        try:
            for start in range(0, len(data), _PIECE):
                rest: bytes | memoryview = data[start : start + _PIECE]
                while rest and self.count < enough and not self._stream.eof:
                    self.count += len(self._stream.decompress(rest, _PIECE))
                    rest = self._stream.unconsumed_tail
        except zlib.error as error:
            raise Corrupt(f"the PNG is damaged: {error}") from None

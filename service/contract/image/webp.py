"""WebP reader: the chunks of a still picture (RFC 9649), lossy, lossless or extended."""

import struct
from typing import Final

from service.contract.image.exif import MAX_EXIF_BYTES, orientation
from service.contract.image.image_errors import Animated, Corrupt, Limits
from service.contract.image.still import Still

_HEADER_BYTES: Final = 12
_MAX_CHUNKS: Final = 4096
_ANIMATION: Final = (b"ANIM", b"ANMF")
_BITSTREAM: Final = (b"VP8 ", b"VP8L")
# Flags of VP8X. Only alpha affects the pixels.
_ALPHA, _ANIMATED = 0x10, 0x02
_START_CODE: Final = b"\x9d\x01\x2a"
_LOSSLESS: Final = 0x2F


def read(payload: bytes, limits: Limits) -> Still:
    """Read the chunks of the RIFF container, and the size that the bitstream itself declares.

    Raises:
        ImageError: the file is cut off, damaged or an animation, or its size is outside the limits.
    """
    end = 8 + int.from_bytes(payload[4:8], "little")
    if end > len(payload):
        raise Corrupt(f"the WebP is cut off: it has {len(payload)} of {end} bytes")
    view, offset, kept = memoryview(payload)[:end], _HEADER_BYTES, bytearray()
    size, exif = None, b""
    for _ in range(_MAX_CHUNKS):
        if offset + 8 > end:
            break
        kind, length = bytes(view[offset : offset + 4]), int.from_bytes(view[offset + 4 : offset + 8], "little")
        data = view[offset + 8 : offset + 8 + length]
        if len(data) < length:
            raise Corrupt(f"the WebP is damaged: a chunk {kind!r} of {length} bytes extends beyond the end of the file")
        if kind in _ANIMATION or (kind == b"VP8X" and length and data[0] & _ANIMATED):
            raise Animated("the WebP is animated; only still pictures are supported")
        if kind in _BITSTREAM:
            if size:
                raise Corrupt("the WebP contains more than one picture")
            size = _size(kind, bytes(data[:10]))
            limits.check_size(*size)
        if kind == b"VP8X":
            flags = data[0] & _ALPHA if length else 0
            kept += b"".join((view[offset : offset + 8], bytes([flags]), data[1:], bytes(length % 2)))
        elif kind == b"ALPH" or kind in _BITSTREAM:
            kept += b"".join((view[offset : offset + 8], data, bytes(length % 2)))
        elif kind == b"EXIF":
            exif = bytes(data)
        offset += 8 + length + length % 2
    else:
        raise Corrupt(f"the WebP has more than {_MAX_CHUNKS} chunks")
    if not size:
        raise Corrupt("the WebP contains no picture")
    stream = b"RIFF" + struct.pack("<I", 4 + len(kept)) + b"WEBP" + bytes(kept)
    return Still("WEBP", *size, orientation(exif), stream, exif[:MAX_EXIF_BYTES])


def _size(kind: bytes, head: bytes) -> tuple[int, int]:
    if kind == b"VP8 " and len(head) == 10 and head[3:6] == _START_CODE:
        width, height = struct.unpack_from("<HH", head, 6)
        return width & 0x3FFF, height & 0x3FFF
    if kind == b"VP8L" and len(head) >= 5 and head[0] == _LOSSLESS:
        bits = int.from_bytes(head[1:5], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    raise Corrupt(f"the WebP is damaged: its {kind.decode().strip()} chunk has no valid header")

"""EXIF reader (CIPA DC-008) for the orientation and the camera's details; other entries are ignored.

A general reader follows every offset of a directory. A directory of 65,535 entries that point at the same megabytes
makes it copy them 65,535 times.
"""

import struct
from collections.abc import Iterator
from typing import Final

UPRIGHT: Final = 1
# Capacity of a JPEG segment.
MAX_EXIF_BYTES: Final = 65_536
_ORIENTATION: Final = 0x0112
_PREFIX: Final = b"Exif\0\0"
_ASCII, _SHORT, _LONG = 2, 3, 4
_MAX_ENTRIES: Final = 512
_MAX_TEXT_BYTES: Final = 64
# Entries of the first directory and of the Exif directory, which the first one points to.
_CAMERA: Final = {0x010F: "make", 0x0110: "model", 0x0131: "software", 0x9003: "taken", 0xA434: "lens"}
_EXIF_DIRECTORY: Final = 0x8769


def orientation(data: bytes) -> int:
    """Return the orientation of a picture: 1 (upright as stored) to 8.

    Args:
        data: an EXIF block: a TIFF header and its first directory, with or without the ``Exif`` prefix.
            The orientation is 1 if the block is damaged or has none.
    """
    tiff = _tiff(data)
    order = _order(tiff)
    if order is None:
        return UPRIGHT
    try:
        (start,) = struct.unpack_from(order + "I", tiff, 4)
        (count,) = struct.unpack_from(order + "H", tiff, start)
        for entry in range(start + 2, start + 2 + 12 * count, 12):
            tag, kind, values = struct.unpack_from(order + "HHI", tiff, entry)
            if tag == _ORIENTATION and kind in (_SHORT, _LONG) and values == 1:
                (turn,) = struct.unpack_from(order + ("H" if kind == _SHORT else "I"), tiff, entry + 8)
                return int(turn) if 1 <= turn <= 8 else UPRIGHT
    except struct.error:  # an offset or entry lies beyond the end
        pass
    return UPRIGHT


def camera(data: bytes) -> dict[str, str]:
    """Return the camera, lens, software and time in an EXIF block, as far as it can be read.

    Args:
        data: see :func:`orientation`.

    Returns:
        any of ``make``, ``model``, ``lens``, ``software`` and ``taken`` (in EXIF's own format), at most 64 printable
        ASCII characters each. The location is never included.
    """
    tiff = _tiff(data)
    order = _order(tiff)
    if order is None:
        return {}
    details: dict[str, str] = {}
    try:
        (start,) = struct.unpack_from(order + "I", tiff, 4)
        exif_start = 0
        for tag, kind, values, position in _entries(tiff, order, start):
            if tag == _EXIF_DIRECTORY and kind == _LONG:
                (exif_start,) = struct.unpack_from(order + "I", tiff, position)
            _add_detail(details, tiff, order, tag, kind, values, position)
        if exif_start:
            for item in _entries(tiff, order, exif_start):
                _add_detail(details, tiff, order, *item)
    except struct.error:  # an offset or entry lies beyond the end; keep the fields read so far
        pass
    return details


def _tiff(data: bytes) -> memoryview:
    return memoryview(data)[len(_PREFIX) if data[:6] == _PREFIX else 0 :]


def _order(tiff: memoryview) -> str | None:
    return {b"II*\0": "<", b"MM\0*": ">"}.get(bytes(tiff[:4]))


def _entries(tiff: memoryview, order: str, start: int) -> Iterator[tuple[int, int, int, int]]:
    """Yield tag, type, number of values and position of the value (or of its offset) for the first 512 entries."""
    (count,) = struct.unpack_from(order + "H", tiff, start)
    for entry in range(start + 2, start + 2 + 12 * min(count, _MAX_ENTRIES), 12):
        yield *struct.unpack_from(order + "HHI", tiff, entry), entry + 8


def _add_detail(
    details: dict[str, str], tiff: memoryview, order: str, tag: int, kind: int, values: int, position: int
) -> None:
    """Store an entry's text in ``details`` if the entry is one of the camera's."""
    name = _CAMERA.get(tag)
    if name is None or kind != _ASCII:
        return
    offset = position if values <= 4 else struct.unpack_from(order + "I", tiff, position)[0]
    raw = bytes(tiff[offset : offset + min(values, _MAX_TEXT_BYTES)]).split(b"\0", 1)[0]
    text = "".join(chr(byte) for byte in raw if 32 <= byte < 127).strip()
    if text:
        details[name] = text

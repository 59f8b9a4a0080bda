"""EXIF (CIPA DC-008): the orientation, and what a camera says of itself; nothing else is looked at.

A general reader follows every offset of the directory; one of 65,535 entries that all point at the same megabytes
makes it copy them as often.
"""

import struct
from collections.abc import Iterator
from typing import Final

UPRIGHT: Final = 1
# What a JPEG's segment can hold.
MOST_EXIF: Final = 65_536
_ORIENTATION: Final = 0x0112
_PREFIX: Final = b"Exif\0\0"
_ASCII, _SHORT, _LONG = 2, 3, 4
_MOST_ENTRIES: Final = 512
_LONGEST: Final = 64
# In the first directory, and in that of the exposure, which it points to.
_CAMERA: Final = {0x010F: "make", 0x0110: "model", 0x0131: "software", 0x9003: "taken", 0xA434: "lens"}
_EXPOSURE: Final = 0x8769


def orientation(data: bytes) -> int:
    """Return how a picture is to be turned: 1 (as it is stored) to 8.

    Args:
        data: an EXIF block, a TIFF header and its first directory, with or without the ``Exif`` prefix.
            One that is damaged or says nothing leaves the picture as it is stored.
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
    except struct.error:  # an offset or entry beyond the end
        pass
    return UPRIGHT


def camera(data: bytes) -> dict[str, str]:
    """Return what an EXIF block says of camera, lens, software and time, as far as it can be read.

    Args:
        data: as for :func:`orientation`.

    Returns:
        any of ``make``, ``model``, ``lens``, ``software`` and ``taken`` (as EXIF writes it), at most 64 printable
        ASCII characters each. Where the picture was taken is not among them.
    """
    tiff = _tiff(data)
    order = _order(tiff)
    if order is None:
        return {}
    found: dict[str, str] = {}
    try:
        (start,) = struct.unpack_from(order + "I", tiff, 4)
        exposure = 0
        for tag, kind, values, place in _entries(tiff, order, start):
            if tag == _EXPOSURE and kind == _LONG:
                (exposure,) = struct.unpack_from(order + "I", tiff, place)
            _note(found, tiff, order, tag, kind, values, place)
        if exposure:
            for item in _entries(tiff, order, exposure):
                _note(found, tiff, order, *item)
    except struct.error:  # an offset or entry beyond the end; what was read before stays
        pass
    return found


def _tiff(data: bytes) -> memoryview:
    return memoryview(data)[len(_PREFIX) if data[:6] == _PREFIX else 0 :]


def _order(tiff: memoryview) -> str | None:
    return {b"II*\0": "<", b"MM\0*": ">"}.get(bytes(tiff[:4]))


def _entries(tiff: memoryview, order: str, start: int) -> Iterator[tuple[int, int, int, int]]:
    """Yield tag, kind, number of values and place of the value (or of its offset) of each entry, the first 512."""
    (count,) = struct.unpack_from(order + "H", tiff, start)
    for entry in range(start + 2, start + 2 + 12 * min(count, _MOST_ENTRIES), 12):
        yield *struct.unpack_from(order + "HHI", tiff, entry), entry + 8


def _note(found: dict[str, str], tiff: memoryview, order: str, tag: int, kind: int, values: int, place: int) -> None:
    """Keep one entry's text, if it is one of those that are looked for."""
    name = _CAMERA.get(tag)
    if name is None or kind != _ASCII:
        return
    at = place if values <= 4 else struct.unpack_from(order + "I", tiff, place)[0]
    raw = bytes(tiff[at : at + min(values, _LONGEST)]).split(b"\0", 1)[0]
    text = "".join(chr(byte) for byte in raw if 32 <= byte < 127).strip()
    if text:
        found[name] = text

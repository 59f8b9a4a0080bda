"""EXIF: the orientation alone (CIPA DC-008, tag 0x0112), read without a look at anything else.

A general reader follows every offset of the directory; one of 65,535 entries that all point at the same megabytes
makes it copy them as often.
"""

import struct
from typing import Final

UPRIGHT: Final = 1
_ORIENTATION: Final = 0x0112
_PREFIX: Final = b"Exif\0\0"
_SHORT, _LONG = 3, 4


def orientation(data: bytes) -> int:
    """Return how a picture is to be turned: 1 (as it is stored) to 8.

    Args:
        data: an EXIF block, a TIFF header and its first directory, with or without the ``Exif`` prefix.
            One that is damaged or says nothing leaves the picture as it is stored.
    """
    tiff = memoryview(data)[len(_PREFIX) if data[:6] == _PREFIX else 0 :]
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(bytes(tiff[:4]))
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

"""Scans: whether those of a JPEG hold the whole picture (ITU-T T.81, B.2 and G.1).

A progressive JPEG that is cut between two scans, with an end marker put behind, is one that a decoder has nothing to
complain of: it is only coarse.
"""

import struct
from typing import Final

from service.contract.image.image_errors import Corrupt

# Ten are usual, and thirty the most that optimisers write; each is a pass over all the pixels.
_MOST_SCANS: Final = 100
_COEFFICIENTS: Final = 64
_UNSEEN: Final = 255


class Scans:
    """What a JPEG's frame header announces, and what its scans have delivered of it.

    Attributes:
        width: columns, pixels.
        height: rows, pixels.
        progressive: whether scans may hold a part of the coefficients, and of their bits.

    Args:
        frame: the data of the frame header (SOF).
        progressive: as above.

    Raises:
        Corrupt: the header cannot be.
    """

    def __init__(self, frame: bytes, progressive: bool) -> None:
        count = frame[5] if len(frame) > 5 else 0
        if count not in (1, 3, 4) or len(frame) != 6 + 3 * count:
            raise Corrupt(f"the JPEG's header announces {count} colour components in {len(frame)} bytes")
        depth, self.height, self.width = struct.unpack_from(">BHH", frame)
        if depth != 8:
            raise Corrupt(f"the JPEG has {depth} bits a sample; 8 are read")
        if len(set(frame[6::3])) != count:
            raise Corrupt("the JPEG's header names a colour component twice")
        self.progressive = progressive
        # For each component and coefficient, the lowest bit that has come.
        self._lowest = {identity: [_UNSEEN] * _COEFFICIENTS for identity in frame[6::3]}
        self._count = 0

    def add(self, header: bytes) -> None:
        """Take note of one scan.

        Args:
            header: the data of the scan header (SOS).

        Raises:
            Corrupt: it cannot be, or is one too many.
        """
        self._count += 1
        if self._count > _MOST_SCANS:
            raise Corrupt(f"the JPEG has more than {_MOST_SCANS} scans")
        count = header[0] if header else 0
        names = header[1 : 1 + 2 * count : 2]
        if len(header) != 4 + 2 * count or not names or any(name not in self._lowest for name in names):
            raise Corrupt("the JPEG is damaged: a scan is of components that there are none of")
        first, last, bits = header[-3:] if self.progressive else (0, _COEFFICIENTS - 1, 0)
        for name in names:
            self._lowest[name][first : last + 1] = [bits & 15] * len(self._lowest[name][first : last + 1])

    def check_complete(self) -> None:
        """Refuse a picture of which something has not come.

        Raises:
            Corrupt: components, coefficients or bits are missing.
        """
        missing = sum(bit != 0 for bits in self._lowest.values() for bit in bits)
        if missing:
            raise Corrupt(
                f"the JPEG is cut off: {missing} of {_COEFFICIENTS * len(self._lowest)} coefficients are not complete"
            )

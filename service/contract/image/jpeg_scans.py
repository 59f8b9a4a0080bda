"""Check that the scans of a JPEG hold the whole picture (ITU-T T.81, B.2 and G.1).

A decoder reports no error for a progressive JPEG that is cut between two scans and closed with an end marker: the
picture is only coarse.
"""

import struct
from typing import Final

from service.contract.image.image_errors import Corrupt

# Ten are usual, and optimisers write at most thirty; a scan costs a pass over all the pixels.
_MAX_SCANS: Final = 100
_COEFFICIENTS: Final = 64
_UNSEEN: Final = 255


class Scans:
    """Tracks which coefficient bits of a JPEG's frame its scans have delivered.

    Attributes:
        width: columns, pixels.
        height: rows, pixels.
        progressive: whether a scan may hold only some of the coefficients and some of their bits.

    Args:
        frame: the data of the frame header (SOF).
        progressive: see above.

    Raises:
        Corrupt: the header is invalid or not supported.
    """

    def __init__(self, frame: bytes, progressive: bool) -> None:
        count = frame[5] if len(frame) > 5 else 0
        if count not in (1, 3, 4) or len(frame) != 6 + 3 * count:
            raise Corrupt(
                f"the JPEG's frame header has {count} colour components in {len(frame)} bytes; 1, 3 or 4 are supported"
            )
        depth, self.height, self.width = struct.unpack_from(">BHH", frame)
        if depth != 8:
            raise Corrupt(f"the JPEG has {depth} bits per sample; only 8 are supported")
        if len(set(frame[6::3])) != count:
            raise Corrupt("the JPEG's frame header defines a colour component twice")
        self.progressive = progressive
        # For each component and coefficient, the lowest bit received so far.
        self._lowest = {identity: [_UNSEEN] * _COEFFICIENTS for identity in frame[6::3]}
        self._count = 0

    def add(self, header: bytes) -> None:
        """Record one scan.

        Args:
            header: the data of the scan header (SOS).

        Raises:
            Corrupt: the header is invalid, or there are over 100 scans.
        """
        self._count += 1
        if self._count > _MAX_SCANS:
            raise Corrupt(f"the JPEG has more than {_MAX_SCANS} scans")
        count = header[0] if header else 0
        names = header[1 : 1 + 2 * count : 2]
        if len(header) != 4 + 2 * count or not names or any(name not in self._lowest for name in names):
            raise Corrupt(
                "the JPEG is damaged: a scan header is malformed or refers to components that the frame does not define"
            )
        first, last, bits = header[-3:] if self.progressive else (0, _COEFFICIENTS - 1, 0)
        for name in names:
            self._lowest[name][first : last + 1] = [bits & 15] * len(self._lowest[name][first : last + 1])

    def check_complete(self) -> None:
        """Refuse an incomplete picture.

        Raises:
            Corrupt: components, coefficients or bits are missing.
        """
        missing = sum(bit != 0 for bits in self._lowest.values() for bit in bits)
        if missing:
            raise Corrupt(
                f"the JPEG is cut off: {missing} of {_COEFFICIENTS * len(self._lowest)} coefficients are incomplete"
            )

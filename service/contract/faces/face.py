"""Face boxes, and the square around a face that a model is shown."""

from dataclasses import dataclass
from typing import Final, Literal

from service.contract.spec import Box

# ``off`` does not search for faces; ``report`` returns their boxes; ``crop`` also judges every face on its own.
FaceMode = Literal["off", "report", "crop"]
# The finder whose boxes face margins refer to.
FINDER: Final = "yunet-2023mar"
# Minimum size of a judged face: longer side of its box, pixels. residual-cnn 0.1.2 calls 4 % of StyleGAN1 fakes real at
# full size, 14 % shrunk to 48 pixels, 28 % to 40 pixels, 56 % to 32 pixels.
MIN_FACE: Final = 48
# Maximum share of a face's box outside the picture. 60 % of faces cut in half exceed it, and 1 % of pictures cropped at
# the face (hardfake, UTKFace).
MAX_CUT: Final = 0.2


@dataclass(frozen=True, slots=True)
class Region:
    """A square of a picture, in pixels as shown, edges not rounded.

    Attributes:
        left: x coordinate of the left edge.
        top: y coordinate of the top edge.
        side: width and height, above 0.
    """

    left: float
    top: float
    side: float

    @property
    def box(self) -> Box:
        """Left, top, right, bottom."""
        return self.left, self.top, self.left + self.side, self.top + self.side

    def inside(self, width: float, height: float) -> "Region":
        """Return the square fitted into ``width`` x ``height``: shrunk around its centre if too large, then moved.

        The picture is never padded: a border of uniform colour would reveal to a network how tightly it was cut.
        """
        side = min(self.side, width, height)
        inset = (self.side - side) / 2
        left = min(max(self.left + inset, 0.0), width - side)
        top = min(max(self.top + inset, 0.0), height - side)
        return Region(left, top, side)


@dataclass(frozen=True, slots=True)
class Face:
    """A detected face.

    Attributes:
        left, top: upper left corner of its box, pixels of the picture as shown, not rounded.
        width, height: size of its box, from the middle of the forehead to the chin; clipped to the picture.
        score: the finder's confidence, in [0, 1].
        tight: whether the picture is such a tight crop that only the second search found the face.
        turned: whether the face is on its side or upside down.
        cut: share of the unclipped box that lies outside the picture, in [0, 1].
    """

    left: float
    top: float
    width: float
    height: float
    score: float
    tight: bool = False
    turned: bool = False
    cut: float = 0.0

    @property
    def side(self) -> float:
        """Longer side of the box, pixels."""
        return max(self.width, self.height)

    def region(self, margin: float, *, shift: tuple[float, float] = (0.0, 0.0)) -> Region:
        """Return the square around the face with ``margin`` times its longer side; may extend outside the picture.

        Args:
            margin: above 0; 1 just contains the box.
            shift: offset of the centre, right and down, as a share of the face's longer side.
        """
        side = margin * self.side
        centre_x = self.left + self.width / 2 + shift[0] * self.side
        centre_y = self.top + self.height / 2 + shift[1] * self.side
        return Region(centre_x - side / 2, centre_y - side / 2, side)

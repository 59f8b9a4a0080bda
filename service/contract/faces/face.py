"""Faces: where they are in a picture, and the square around one that a model looks at."""

from dataclasses import dataclass
from typing import Final, Literal

from service.contract.box import Box

# ``off`` does not look for faces; ``report`` tells where they are; ``crop`` also judges each by itself.
FaceMode = Literal["off", "report", "crop"]
# Whose boxes are meant wherever a margin is stated.
FINDER: Final = "yunet-2023mar"
# Fewest pixels (longer side of the box) of a face that is judged. Of StyleGAN1 fakes shrunk to 48 pixels residual-cnn
# 0.1.2 passes 14 % as real, to 40 pixels 28 %, to 32 pixels 56 %, and at their own size 4 %.
MIN_FACE: Final = 48
# Largest share of a face's box outside the picture. Of faces cut in half 6 in 10 show more; of pictures cropped at the
# face (hardfake, UTKFace) 1 in 100.
MAX_CUT: Final = 0.2


@dataclass(frozen=True, slots=True)
class Region:
    """A square of a picture, pixels as shown, edges not rounded.

    Attributes:
        left: distance of its left edge from the picture's.
        top: distance of its upper edge from the picture's.
        side: width and height, above 0.
    """

    left: float
    top: float
    side: float

    @property
    def box(self) -> Box:
        """Left, top, right and bottom."""
        return self.left, self.top, self.left + self.side, self.top + self.side

    def inside(self, width: float, height: float) -> "Region":
        """Return the square that lies within ``width`` x ``height``: shrunk about its middle if it must, then moved.

        Nothing is ever padded: a border of one colour would tell a network how tightly a picture was cut.
        """
        side = min(self.side, width, height)
        spare = (self.side - side) / 2
        left = min(max(self.left + spare, 0.0), width - side)
        top = min(max(self.top + spare, 0.0), height - side)
        return Region(left, top, side)


@dataclass(frozen=True, slots=True)
class Face:
    """One face that was found.

    Attributes:
        left, top: upper left corner of its box, pixels of the picture as shown, not rounded.
        width, height: of its box, from the middle of the forehead to the chin; clipped to the picture.
        score: the finder's confidence, in [0, 1].
        tight: the picture is so tight a crop that the face was only found at a second look.
        turned: it is on its side or upside down.
        cut: share of the box, as the finder saw it, that lies outside the picture; in [0, 1].
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
        """Return the square of ``margin`` times the face's longer side around its middle; it may reach outside.

        Args:
            margin: above 0; 1 just holds the box.
            shift: moves the middle, as a share of the face's longer side: right, down.
        """
        side = margin * self.side
        middle_x = self.left + self.width / 2 + shift[0] * self.side
        middle_y = self.top + self.height / 2 + shift[1] * self.side
        return Region(middle_x - side / 2, middle_y - side / 2, side)

"""Drawn: a face in flat colours and hard lines, which no camera and no generator of photos makes.

A detector of generated photos knows photos, real and generated; of a cartoon it says, as a rule, that it is real.
Flat colours leave most neighbouring pixels equal, or nearly, which sensor noise, skin and JPEG hardly ever do, and the
lines between them are hard, which a blurred or blown-out photo's are not. Paintings and shaded drawings
are not told here: the model itself was trained not to be sure of them.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops

from service.contract.box import Box

# Drawn, where neighbours differ by at most the first number in more than the second share of the pairs, and by more
# than the third in more than the fourth; the first rule counts all pairs, the others those that are not clipped alike.
_OF_ALL: Final = ((0, 0.6, 10, 0.01),)
_OF_UNCLIPPED: Final = ((1, 0.425, 60, 0.005), (3, 0.35, 60, 0.04))
# What a first look, along fewer lines and one way only, must find of either share.
_LIKELY: Final = 0.7
_FEW_LINES: Final = 48
# Blown-out skin and black shadows are flat, too.
_WHITE, _BLACK = 253, 2
_CLIPPED_STEP: Final = 3
# A larger face is looked at in every second pixel, third, and so on: flat colours stay flat.
_MOST: Final = 512
# And then along so many of its rows and columns.
_LINES: Final = 96
_Plane = NDArray[np.uint8]


def is_drawn(rgb: Image.Image, box: Box) -> bool:
    """Return whether the part of a picture is drawn in flat colours.

    Args:
        rgb: mode RGB.
        box: left, top, right and bottom, pixels.
    """
    left, top, right, bottom = map(round, box)
    part = rgb.crop((left, top, max(left + 2, right), max(top + 2, bottom)))
    if not _may_be(part):
        return False
    apart = -(-max(part.size) // _MOST)
    planes = [np.ascontiguousarray(np.asarray(plane)[::apart, ::apart]) for plane in part.split()]
    nth = -(-max(planes[0].shape) // _LINES)
    pairs = [([plane[::nth, 1:] for plane in planes], [plane[::nth, :-1] for plane in planes])]
    pairs += [([plane[1:, ::nth] for plane in planes], [plane[:-1, ::nth] for plane in planes])]
    steps = np.concatenate([_steps(*pair).ravel() for pair in pairs])
    if _holds(steps, _OF_ALL):
        return True
    return _holds(steps[~np.concatenate([_clipped(*pair).ravel() for pair in pairs])], _OF_UNCLIPPED)


def _may_be(part: Image.Image) -> bool:
    """Return whether a first look leaves it open that a part is drawn; with nearly all photos it does not.

    By Pillow, which keeps the interpreter's lock: to give it up and get it back some thirty times, as NumPy would,
    costs a busy service more than the look itself.
    """
    rows = part.resize((part.width, min(part.height, _FEW_LINES)), Image.Resampling.NEAREST)
    width, height = rows.size
    across = ImageChops.difference(rows.crop((1, 0, width, height)), rows.crop((0, 0, width - 1, height)))
    red, green, blue = across.split()
    counts = ImageChops.lighter(ImageChops.lighter(red, green), blue).histogram()
    pairs = sum(counts)
    # Those that are clipped alike, which some rules leave out, hardly differ.
    least = max(1, pairs - sum(counts[:_CLIPPED_STEP]))
    bounds = [(rule, pairs) for rule in _OF_ALL] + [(rule, least) for rule in _OF_UNCLIPPED]
    return any(
        sum(counts[: same + 1]) > _LIKELY * flat * pairs and sum(counts[hard + 1 :]) > _LIKELY * lines * counted
        for (same, flat, hard, lines), counted in bounds
    )


def _holds(steps: _Plane, rules: tuple[tuple[int, float, int, float], ...]) -> bool:
    def share(most: int) -> float:
        return int(np.count_nonzero(steps <= most)) / max(1, steps.size)

    return any(share(same) > flat and 1 - share(hard) > lines for same, flat, hard, lines in rules)


def _steps(ones: list[_Plane], others: list[_Plane]) -> _Plane:
    """Return by how much neighbours differ in the channel that differs most."""
    largest = np.zeros_like(ones[0])
    for one, other in zip(ones, others, strict=True):
        np.maximum(largest, np.maximum(one, other) - np.minimum(one, other), out=largest)
    return largest


def _clipped(ones: list[_Plane], others: list[_Plane]) -> NDArray[np.bool_]:
    """Return where neighbours are alike because a channel of both is white, or all of both are black."""
    least = [np.minimum(one, other) for one, other in zip(ones, others, strict=True)]
    most = [np.maximum(one, other) for one, other in zip(ones, others, strict=True)]
    white: NDArray[np.bool_] = np.maximum.reduce(least) >= _WHITE
    black: NDArray[np.bool_] = np.maximum.reduce(most) <= _BLACK
    return np.logical_or(white, black)

"""Detect faces drawn in flat colours and hard lines, which no camera and no photo generator produces.

A detector of generated photos is trained on photos, real and generated; it usually calls a cartoon real. In flat
colours most neighbouring pixels are equal or nearly equal, which is rare with sensor noise, skin and JPEG. The lines
between flat colours are hard, unlike those of a blurred or blown-out photo. Paintings and shaded drawings are not
detected here: the model itself was trained to be unsure of them.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops

from service.contract.spec import Box

# Rules (same, flat, hard, lines): a face is drawn if more than the share `flat` of the pairs of neighbours differ by at
# most `same`, and more than the share `lines` by more than `hard`. The first rule counts all pairs, the other two only
# pairs that are not clipped alike.
_RULES_ALL_PAIRS: Final = ((0, 0.6, 10, 0.01),)
_RULES_UNCLIPPED_PAIRS: Final = ((1, 0.425, 60, 0.005), (3, 0.35, 60, 0.04))
# The quick check compares fewer rows, in one direction only, and requires this fraction of both shares.
_QUICK_FRACTION: Final = 0.7
_QUICK_ROWS: Final = 48
# Blown-out skin and black shadows are flat as well.
_WHITE, _BLACK = 253, 2
_CLIPPED_STEP: Final = 3
# A larger face is subsampled to every second pixel, third pixel, and so on; flat colours stay flat.
_MAX_SIDE: Final = 512
# Number of rows and columns of the subsampled face that are compared.
_LINES: Final = 96
_Plane = NDArray[np.uint8]


def is_drawn(rgb: Image.Image, box: Box) -> bool:
    """Return whether a box of a picture is drawn in flat colours.

    Args:
        rgb: mode RGB.
        box: left, top, right, bottom, pixels.
    """
    left, top, right, bottom = map(round, box)
    crop = rgb.crop((left, top, max(left + 2, right), max(top + 2, bottom)))
    if not _may_be_drawn(crop):
        return False
    stride = -(-max(crop.size) // _MAX_SIDE)
    planes = [np.ascontiguousarray(np.asarray(plane)[::stride, ::stride]) for plane in crop.split()]
    line_step = -(-max(planes[0].shape) // _LINES)
    pairs = [([plane[::line_step, 1:] for plane in planes], [plane[::line_step, :-1] for plane in planes])]
    pairs += [([plane[1:, ::line_step] for plane in planes], [plane[:-1, ::line_step] for plane in planes])]
    differences = np.concatenate([_differences(*pair).ravel() for pair in pairs])
    if _matches_any(differences, _RULES_ALL_PAIRS):
        return True
    return _matches_any(
        differences[~np.concatenate([_clipped(*pair).ravel() for pair in pairs])], _RULES_UNCLIPPED_PAIRS
    )


def _may_be_drawn(crop: Image.Image) -> bool:
    """Return whether a crop may be drawn, by a quick check that rules out nearly all photos.

    Uses Pillow, which holds the GIL: releasing and acquiring it about thirty times, as NumPy would, costs a busy
    service more than the check itself.
    """
    rows = crop.resize((crop.width, min(crop.height, _QUICK_ROWS)), Image.Resampling.NEAREST)
    width, height = rows.size
    difference = ImageChops.difference(rows.crop((1, 0, width, height)), rows.crop((0, 0, width - 1, height)))
    red, green, blue = difference.split()
    counts = ImageChops.lighter(ImageChops.lighter(red, green), blue).histogram()
    pairs = sum(counts)
    # Pairs that are clipped alike, which some rules leave out, hardly differ.
    unclipped_pairs = max(1, pairs - sum(counts[:_CLIPPED_STEP]))
    rules = [(rule, pairs) for rule in _RULES_ALL_PAIRS] + [(rule, unclipped_pairs) for rule in _RULES_UNCLIPPED_PAIRS]
    return any(
        sum(counts[: same + 1]) > _QUICK_FRACTION * flat * pairs
        and sum(counts[hard + 1 :]) > _QUICK_FRACTION * lines * pair_count
        for (same, flat, hard, lines), pair_count in rules
    )


def _matches_any(differences: _Plane, rules: tuple[tuple[int, float, int, float], ...]) -> bool:
    def share(limit: int) -> float:
        """Return the share of neighbours that differ by at most ``limit``."""
        return int(np.count_nonzero(differences <= limit)) / max(1, differences.size)

    return any(share(same) > flat and 1 - share(hard) > lines for same, flat, hard, lines in rules)


def _differences(first_planes: list[_Plane], second_planes: list[_Plane]) -> _Plane:
    """Return the absolute difference of neighbours in the channel with the largest difference."""
    largest = np.zeros_like(first_planes[0])
    for first, second in zip(first_planes, second_planes, strict=True):
        np.maximum(largest, np.maximum(first, second) - np.minimum(first, second), out=largest)
    return largest


def _clipped(first_planes: list[_Plane], second_planes: list[_Plane]) -> NDArray[np.bool_]:
    """Return where neighbours are alike because one channel is white in both, or all channels are black in both."""
    minima = [np.minimum(first, second) for first, second in zip(first_planes, second_planes, strict=True)]
    maxima = [np.maximum(first, second) for first, second in zip(first_planes, second_planes, strict=True)]
    white: NDArray[np.bool_] = np.maximum.reduce(minima) >= _WHITE
    black: NDArray[np.bool_] = np.maximum.reduce(maxima) <= _BLACK
    return np.logical_or(white, black)

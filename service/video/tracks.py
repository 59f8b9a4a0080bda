"""Tracks: which faces of one frame are which of the next, by where they are, as long as the picture does not change.

Frames lie up to seconds apart, so that a face may have moved by its own size; greedy matching by overlap and distance
(as SORT does, Bewley et al. 2016, arXiv:1602.00763, without its motion model, which needs every frame).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from service.contract.faces.face import Face

# Of overlap, and of nearness in units of the face: what is under both is another face.
_LEAST: Final = 0.3
# Mean difference of grey values, as a share of 255, between two frames of different scenes.
_CUT: Final = 0.2
_GRID: Final = (9, 16)


@dataclass(slots=True)
class Track:
    """One face, as far as it could be followed.

    Attributes:
        number: from 0, in the order in which they came.
        seen: place among the frames, and among the faces of that frame, each time that it was seen.
        last: where it was last.
    """

    number: int
    last: Face
    seen: list[tuple[int, int]] = field(default_factory=list)


def follow(frames: Sequence[Sequence[Face]], scenes: Sequence[NDArray[np.float64]]) -> list[Track]:
    """Return every face that was followed through some frames.

    Args:
        frames: the faces of each frame, in order.
        scenes: of each frame, as :func:`scene` returns it.
    """
    tracks: list[Track] = []
    open_tracks: list[Track] = []
    for place, faces in enumerate(frames):
        if place and float(np.abs(scenes[place] - scenes[place - 1]).mean()) > _CUT:
            open_tracks = []
        pairs = sorted(
            ((_likeness(track.last, face), index, track) for index, face in enumerate(faces) for track in open_tracks),
            key=lambda pair: (-pair[0], pair[1], pair[2].number),
        )
        taken: dict[int, Track] = {}
        for likeness, index, track in pairs:
            if likeness >= _LEAST and index not in taken and track not in taken.values():
                taken[index] = track
        for index, face in enumerate(faces):
            if index not in taken:
                taken[index] = Track(len(tracks), face)
                tracks.append(taken[index])
                open_tracks.append(taken[index])
            taken[index].last = face
            taken[index].seen.append((place, index))
    return tracks


def scene(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return a frame's coarse grey values, ``[9, 16]`` in [0, 1].

    Args:
        pixels: uint8 ``[H, W, 3]``.
    """
    down, across = max(1, pixels.shape[0] // 90), max(1, pixels.shape[1] // 160)
    small = pixels[::down, ::across].mean(axis=2) / 255
    return np.asarray(
        [[part.mean() for part in np.array_split(row, _GRID[1], axis=1)] for row in np.array_split(small, _GRID[0])]
    )


def _likeness(before: Face, after: Face) -> float:
    """Return how likely two boxes are of one face, in [0, 1]: the larger of overlap and nearness."""
    across = min(before.left + before.width, after.left + after.width) - max(before.left, after.left)
    down = min(before.top + before.height, after.top + after.height) - max(before.top, after.top)
    shared = max(0.0, across) * max(0.0, down)
    overlap = shared / (before.width * before.height + after.width * after.height - shared)
    ratio = min(before.side, after.side) / max(before.side, after.side)
    x = before.left + before.width / 2 - after.left - after.width / 2
    y = before.top + before.height / 2 - after.top - after.height / 2
    distance = (x * x + y * y) ** 0.5 / (before.side + after.side) * 2
    return float(max(overlap, ratio * (1 - distance)))

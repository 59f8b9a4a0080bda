"""Track faces between sampled frames by position, within one scene.

Frames are up to seconds apart, so a face may have moved by its own size. Faces are matched greedily by overlap and
distance, as in SORT (Bewley et al. 2016, arXiv:1602.00763) but without its motion model, which needs every frame.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from service.contract.faces.face import Face

# Minimum overlap, or proximity in units of the face size, for two boxes to be the same face.
_MIN_SIMILARITY: Final = 0.3
# Mean difference of grey values, as a fraction of 255, above which two frames belong to different scenes.
_SCENE_CHANGE: Final = 0.2
_GRID: Final = (9, 16)


@dataclass(slots=True)
class Track:
    """One face, tracked over frames.

    Attributes:
        number: track number from 0, in order of appearance.
        last: latest position of the face.
        seen: (frame index, face index within the frame) of each appearance.
    """

    number: int
    last: Face
    seen: list[tuple[int, int]] = field(default_factory=list)


def follow(frames: Sequence[Sequence[Face]], scenes: Sequence[NDArray[np.float64]]) -> list[Track]:
    """Return the track of every face.

    Args:
        frames: faces of each frame, in order.
        scenes: grey values of each frame, as returned by :func:`scene`.
    """
    tracks: list[Track] = []
    open_tracks: list[Track] = []
    for position, faces in enumerate(frames):
        if position and float(np.abs(scenes[position] - scenes[position - 1]).mean()) > _SCENE_CHANGE:
            open_tracks = []
        pairs = sorted(
            (
                (_similarity(track.last, face), index, track)
                for index, face in enumerate(faces)
                for track in open_tracks
            ),
            key=lambda pair: (-pair[0], pair[1], pair[2].number),
        )
        matched: dict[int, Track] = {}
        for similarity, index, track in pairs:
            if similarity >= _MIN_SIMILARITY and index not in matched and track not in matched.values():
                matched[index] = track
        for index, face in enumerate(faces):
            if index not in matched:
                matched[index] = Track(len(tracks), face)
                tracks.append(matched[index])
                open_tracks.append(matched[index])
            matched[index].last = face
            matched[index].seen.append((position, index))
    return tracks


def scene(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return the frame's coarse grey values, ``[9, 16]`` in [0, 1].

    Args:
        pixels: uint8 ``[H, W, 3]``.
    """
    row_step, column_step = max(1, pixels.shape[0] // 90), max(1, pixels.shape[1] // 160)
    small = pixels[::row_step, ::column_step].mean(axis=2) / 255
    return np.asarray(
        [[cell.mean() for cell in np.array_split(row, _GRID[1], axis=1)] for row in np.array_split(small, _GRID[0])]
    )


def _similarity(before: Face, after: Face) -> float:
    """Return the similarity of two boxes: the larger of overlap and proximity, in [0, 1]."""
    shared_width = min(before.left + before.width, after.left + after.width) - max(before.left, after.left)
    shared_height = min(before.top + before.height, after.top + after.height) - max(before.top, after.top)
    shared = max(0.0, shared_width) * max(0.0, shared_height)
    overlap = shared / (before.width * before.height + after.width * after.height - shared)
    ratio = min(before.side, after.side) / max(before.side, after.side)
    dx = before.left + before.width / 2 - after.left - after.width / 2
    dy = before.top + before.height / 2 - after.top - after.height / 2
    distance = (dx * dx + dy * dy) ** 0.5 / (before.side + after.side) * 2
    return float(max(overlap, ratio * (1 - distance)))

"""Select the frames of a video to score, and the key frames to decode them from."""

import bisect
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Coded:
    """One coded frame in the file.

    Attributes:
        time: presentation time, in the stream's ticks.
        key: whether it is a key frame, at which decoding can start.
    """

    time: int
    key: bool


@dataclass(frozen=True, slots=True)
class Target:
    """One frame to score.

    Attributes:
        index: index in presentation order.
        time: presentation time, in the stream's ticks.
        begin: time of the last key frame at or before it; None if there is none.
    """

    index: int
    time: int
    begin: int | None


def targets(coded: Sequence[Coded], samples: int) -> list[Target]:
    """Return up to ``samples`` evenly spaced frames, in order; each is the middle of an equal segment.

    Args:
        coded: every frame, in file order.
        samples: maximum number of frames to select.
    """
    times = sorted({frame.time for frame in coded})  # a decoder returns only one of two frames with the same time
    keys = sorted(frame.time for frame in coded if frame.key)
    count = min(samples, len(times))
    selected = []
    for segment in range(count):
        index = (2 * segment + 1) * len(times) // (2 * count)
        position = bisect.bisect_right(keys, times[index])
        selected.append(Target(index, times[index], keys[position - 1] if position else None))
    return selected


def seconds(coded: Sequence[Coded], tick_s: float) -> float:
    """Return the duration of the frames; the last frame is assumed to last as long as the average one."""
    times = [frame.time for frame in coded]
    if len(times) < 2:
        return 0.0
    span = max(times) - min(times)
    return span * tick_s * len(times) / (len(times) - 1)

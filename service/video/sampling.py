"""Sampling: which frames of a video are looked at, and how little is decoded to get there."""

import bisect
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Coded:
    """One frame as it lies in the file.

    Attributes:
        time: when it is shown, in the stream's ticks.
        key: whether decoding may begin with it.
    """

    time: int
    key: bool


@dataclass(frozen=True, slots=True)
class Target:
    """One frame to be looked at.

    Attributes:
        index: of the frame, in the order in which they are shown.
        time: when it is shown, in the stream's ticks.
        begin: of the last frame at or before it that decoding may begin with; None where there is none.
    """

    index: int
    time: int
    begin: int | None


def targets(coded: Sequence[Coded], samples: int) -> list[Target]:
    """Return at most ``samples`` frames, each from the middle of its share of the video, in order.

    Args:
        coded: every frame, in the order of the file.
        samples: how many, at most.
    """
    times = sorted({frame.time for frame in coded})  # of two at one time a decoder gives one
    keys = sorted(frame.time for frame in coded if frame.key)
    count = min(samples, len(times))
    chosen = []
    for number in range(count):
        index = (2 * number + 1) * len(times) // (2 * count)
        place = bisect.bisect_right(keys, times[index])
        chosen.append(Target(index, times[index], keys[place - 1] if place else None))
    return chosen


def seconds(coded: Sequence[Coded], tick_s: float) -> float:
    """Return how long the frames last, the last one as long as the others on average."""
    times = [frame.time for frame in coded]
    if len(times) < 2:
        return 0.0
    span = max(times) - min(times)
    return span * tick_s * len(times) / (len(times) - 1)

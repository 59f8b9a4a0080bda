"""Limits as plain values: what one process takes on, and which videos it reads."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Capacity:
    """How much one process takes on at once.

    Attributes:
        decode_threads: pictures decoded at once.
        batches_in_flight: runs of the model at once.
        max_batch: most pictures, or faces, in one run.
        batch_window_s: how long a run that is not full waits for more, seconds.
        max_queue: most pictures that wait for a thread or a run.
        deadline_s: from a picture's arrival to its verdict, seconds.
    """

    decode_threads: int
    batches_in_flight: int
    max_batch: int
    batch_window_s: float
    max_queue: int
    deadline_s: float


@dataclass(frozen=True, slots=True)
class VideoLimits:
    """What is refused, and how much is looked at.

    Attributes:
        max_bytes: longest file, bytes.
        max_s: longest duration, seconds; as the frames' own times have it, whatever the header says.
        max_frames: most frames in the file.
        max_pixels: most pixels (width x height) of a frame.
        samples: frames that are looked at, spread evenly.
        deadline_s: for all of it, seconds.
    """

    max_bytes: int
    max_s: float
    max_frames: int
    max_pixels: int
    samples: int
    deadline_s: float

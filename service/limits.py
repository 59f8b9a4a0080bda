"""Limits as plain values: capacity of one process, and bounds on videos."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Capacity:
    """Concurrency limits of one process.

    Attributes:
        decode_threads: pictures decoded at once.
        batches_in_flight: model runs at once.
        max_batch: maximum pictures, or faces, in one model run.
        batch_window_s: time that a batch waits to fill, seconds.
        max_queue: maximum pictures waiting for a thread or a model run.
        deadline_s: time from a picture's arrival to its verdict, seconds.
    """

    decode_threads: int
    batches_in_flight: int
    max_batch: int
    batch_window_s: float
    max_queue: int
    deadline_s: float


@dataclass(frozen=True, slots=True)
class VideoLimits:
    """Limits on a video, and how many of its frames are scored.

    Attributes:
        max_bytes: maximum file size, bytes.
        max_s: maximum duration, seconds, by the frames' timestamps; the header's duration is ignored.
        max_frames: maximum frames in the file.
        max_pixels: maximum pixels (width x height) of a frame.
        samples: frames that are scored, evenly spaced.
        deadline_s: time for the whole video, seconds.
    """

    max_bytes: int
    max_s: float
    max_frames: int
    max_pixels: int
    samples: int
    deadline_s: float

"""Reasons that make a video's verdict ``uncertain`` or qualify it."""

from typing import Final, Literal, get_args

# With fewer frames the order statistics give no 95 % interval.
MIN_JUDGED_FRAMES: Final = 6

VideoReason = Literal[
    "no_face", "none_judged", "few_frames", "unsteady", "several_faces", "between_thresholds", "incomplete"
]
VIDEO_REASONS: Final[dict[VideoReason, str]] = {
    "no_face": "No face was found; the verdict is `uncertain`.",
    "none_judged": "The face could be judged in no frame (too small, turned or cut off); the verdict is `uncertain`.",
    "few_frames": f"The face was judged in fewer than {MIN_JUDGED_FRAMES} sampled frames; the verdict is `uncertain`.",
    "unsteady": "The interval extends beyond the opposite threshold; the verdict is `uncertain`.",
    "several_faces": "More than one face was tracked.",
    "between_thresholds": "P(fake) lies between the two thresholds; the verdict is `uncertain`.",
    "incomplete": "Part of the file is damaged or missing; the verdict is based on the readable part.",
}
assert set(VIDEO_REASONS) == set(get_args(VideoReason))  # noqa: S101

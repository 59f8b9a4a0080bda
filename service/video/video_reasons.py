"""Reasons: what makes a video's verdict ``uncertain``, and what is to be known beside one."""

from typing import Final, Literal, get_args

# Of fewer frames no interval of 95 % can be stated.
FEWEST: Final = 6

VideoReason = Literal[
    "no_face", "none_judged", "few_frames", "unsteady", "several_faces", "between_thresholds", "incomplete"
]
VIDEO_REASONS: Final[dict[VideoReason, str]] = {
    "no_face": "No face was found; the verdict is `uncertain`.",
    "none_judged": "A face was found and could be judged in no frame (small, turned, cut); it is `uncertain`.",
    "few_frames": f"The face could be judged in under {FEWEST} of the sampled frames; the verdict is `uncertain`.",
    "unsteady": "The interval reaches beyond the other threshold; the verdict is `uncertain`.",
    "several_faces": "More than one face was followed.",
    "between_thresholds": "P(fake) lies between the two thresholds; the verdict is `uncertain`.",
    "incomplete": "Part of the file is damaged or missing; the verdict is on what could be read.",
}
assert set(VIDEO_REASONS) == set(get_args(VideoReason))  # noqa: S101

"""Reasons for an ``uncertain`` verdict, and notes on a verdict."""

from typing import Final, Literal, get_args

Reason = Literal[
    "no_face",
    "face_too_small",
    "face_turned",
    "face_cut",
    "drawn",
    "framed_too_wide",
    "tight_crop",
    "several_faces",
    "unstable_under_recompression",
    "between_thresholds",
]
REASONS: Final[dict[Reason, str]] = {
    "no_face": "No face was found; the verdict is `uncertain`.",
    "face_too_small": "A face is smaller than the configured minimum: it is not judged.",
    "face_turned": "A face is on its side or upside down: it is not judged. Turn the picture upright.",
    "face_cut": "The border cuts off a large part of a face: it is not judged.",
    "drawn": "The face is drawn in flat colours: it is not judged. For shaded drawings the model "
    "itself should be unsure.",
    "framed_too_wide": "The model is shown the whole picture, and the face spans too little of it: it is not judged. "
    "Crop the picture to the face.",
    "tight_crop": "The face fills the picture or is cut by its border; only the second search found it.",
    "several_faces": "There is more than one face.",
    "unstable_under_recompression": "The verdict changes when the picture is saved as JPEG 75; it is `uncertain`.",
    "between_thresholds": "P(fake) is between the two thresholds; the verdict is `uncertain`.",
}
# A face with one of these reasons is not judged: the model's output for it is ignored.
NOT_JUDGED: Final[frozenset[Reason]] = frozenset(
    ("no_face", "face_too_small", "face_turned", "face_cut", "drawn", "framed_too_wide")
)
assert set(REASONS) == set(get_args(Reason))  # noqa: S101

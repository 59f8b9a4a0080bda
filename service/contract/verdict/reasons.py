"""Reasons: what makes a verdict ``uncertain``, and what is to be known beside one."""

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
    "face_too_small": "A face has under `SERVICE_MIN_FACE` pixels: it is not judged.",
    "face_turned": "A face is on its side or upside down: it is not judged. Turn the picture.",
    "face_cut": "The border cuts off a good part of a face: it is not judged.",
    "drawn": "The face is drawn in flat colours: it is not judged. Of shaded ones the model itself ought to be unsure.",
    "framed_too_wide": "The picture is judged whole, and the face spans too little of it: it is not judged. Cut the "
    "face out, or use `SERVICE_FACES=crop`.",
    "tight_crop": "The face fills the picture or is cut by it, and was only found at a second look.",
    "several_faces": "There is more than one face.",
    "unstable_under_recompression": "Saved again as JPEG 75 the verdict would differ; it is `uncertain`.",
    "between_thresholds": "P(fake) lies between the two thresholds; the verdict is `uncertain`.",
}
# With one of these, whatever the model says of the face does not count.
NOT_JUDGED: Final[frozenset[Reason]] = frozenset(
    ("no_face", "face_too_small", "face_turned", "face_cut", "drawn", "framed_too_wide")
)
assert set(REASONS) == set(get_args(Reason))  # noqa: S101

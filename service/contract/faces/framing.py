"""Framing: choose the boxes of a picture that the model is shown, and the face of each box."""

from dataclasses import dataclass
from typing import Final

from PIL import Image

from service.contract.faces.face import FINDER, MIN_FACE, Face, FaceMode
from service.contract.faces.finder import face_finder
from service.contract.image.resize import covered
from service.contract.spec import Box, ModelSpec, Preprocessing, SpecError

# Part of the cache key of face tensors: increase it when the finder or this module may frame the same picture
# differently.
FRAMING_VERSION: Final = 1
# Minimum span of a face, relative to its span in training. Below it a network trained on whole pictures judges the
# surroundings: residual-cnn 0.1.2 calls 21 % of fakes real at 0.93 of the span, 71 % at 0.85.
MIN_SPAN: Final = 0.86


@dataclass(frozen=True, slots=True)
class FacePolicy:
    """How faces are handled.

    Attributes:
        mode: see :data:`service.contract.faces.face.FaceMode`.
        min_face: minimum longer side of a face's box, pixels; smaller faces are not judged.
        max_faces: maximum number of faces that are reported and judged, the largest first.
        check_recompression: also judge the picture after another JPEG compression.
    """

    mode: FaceMode = "report"
    min_face: int = MIN_FACE
    max_faces: int = 32
    check_recompression: bool = False


@dataclass(frozen=True, slots=True)
class Look:
    """One box of a picture that the model is shown.

    Attributes:
        box: left, top, right, bottom, pixels; may be the whole picture.
        face: the face in the box; None if no face was found or searched for.
        wide: whether the box is the whole picture and the face spans too little of it to be judged.
        drawn: whether the face is drawn in flat colours (:mod:`service.contract.faces.drawn`).
    """

    box: Box
    face: Face | None = None
    wide: bool = False
    drawn: bool = False


def frame(rgb: Image.Image, preprocessing: Preprocessing, faces: tuple[Face, ...] | None = None) -> Box:
    """Return the box of a picture that a model is trained on, and is shown unless the mode is ``crop``.

    With framing ``whole`` it is the box of :func:`~service.contract.image.resize.covered`, with framing ``face`` the
    square around the largest face (or the former box if no face is found).

    Args:
        rgb: decoded picture, mode RGB.
        preprocessing: the model's preprocessing.
        faces: known faces, largest first; default: search for them.

    Raises:
        FinderError: the framing needs the face finder, which does not load or does not run.
    """
    whole = _whole_box(rgb.width, rgb.height, preprocessing)
    if preprocessing.framing == "whole":
        return whole
    if faces is None:
        faces = face_finder().find(rgb, 1)
    return _face_box(faces[0], rgb.size, preprocessing) if faces else whole


def looks(
    faces: tuple[Face, ...], width: int, height: int, preprocessing: Preprocessing, mode: FaceMode
) -> tuple[Look, ...]:
    """Return the looks of a picture, at least one, in the order of the faces.

    Mode ``crop`` returns one look per face; the other modes return one look, framed as in training.

    Args:
        faces: largest first.
        width: width of the picture, pixels.
        height: height of the picture, pixels.
        preprocessing: the model's preprocessing; ``crop`` needs its face margin (:func:`check_mode`).
        mode: see :data:`service.contract.faces.face.FaceMode`.
    """
    whole = _whole_box(width, height, preprocessing)
    if mode == "off" or not faces:
        return (Look(whole),)
    if mode == "report" and preprocessing.framing == "whole":
        return (Look(whole, faces[0], _is_too_wide(whole, faces[0], preprocessing)),)
    shown_faces = faces if mode == "crop" else faces[:1]
    return tuple(Look(_face_box(face, (width, height), preprocessing), face) for face in shown_faces)


def check_mode(spec: ModelSpec, mode: FaceMode) -> None:
    """Refuse a face mode that a model does not support.

    Raises:
        SpecError: the mode is ``off`` and the model was trained on cut-out faces, or the mode is
            ``crop`` and the model has no face margin.
    """
    if mode == "off" and spec.framing == "face":
        raise SpecError("framing", "'face' needs the face finder, but the face mode is 'off'; use 'report' or 'crop'")
    if mode == "crop" and spec.face_margin is None:
        raise SpecError("face_margin", "is missing, but face mode 'crop' needs it; use 'report' or 'off'")


def check_finder(spec: ModelSpec) -> None:
    """Refuse a model whose face margin refers to the boxes of another finder.

    Raises:
        SpecError: the model names another finder.
    """
    if spec.face_finder not in ("", FINDER):
        raise SpecError("face_finder", f"{spec.face_finder!r} is not '{FINDER}', the only supported face finder")


def _whole_box(width: int, height: int, preprocessing: Preprocessing) -> Box:
    return covered(width, height, preprocessing.input_width, preprocessing.input_height, preprocessing.resize_fit)


def _face_box(face: Face, size: tuple[int, int], preprocessing: Preprocessing) -> Box:
    if preprocessing.face_margin is None:
        raise SpecError("face_margin", "is missing")
    return face.region(preprocessing.face_margin).inside(*size).box


def _is_too_wide(box: Box, face: Face, preprocessing: Preprocessing) -> bool:
    """Return whether a face spans far less of the model's input than in training.

    For a model without a face margin, the face must span at least ``MIN_FACE`` pixels of the input.
    """
    visible_width = max(0.0, min(box[2], face.left + face.width) - max(box[0], face.left))
    visible_height = max(0.0, min(box[3], face.top + face.height) - max(box[1], face.top))
    # Half a face counts as a face of half the size, however long the visible strip is.
    visible_share = visible_width * visible_height / (face.width * face.height)
    spans = visible_width / (box[2] - box[0]), visible_height / (box[3] - box[1])
    if preprocessing.face_margin is not None:
        return max(spans) * visible_share * preprocessing.face_margin < MIN_SPAN
    return max(spans[0] * preprocessing.input_width, spans[1] * preprocessing.input_height) * visible_share < MIN_FACE

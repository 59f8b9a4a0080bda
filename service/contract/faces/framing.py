"""Framing: which parts of a picture the model looks at, and which face each is about."""

from dataclasses import dataclass
from typing import Final

from PIL import Image

from service.contract.box import Box
from service.contract.faces.face import FINDER, MIN_FACE, Face, FaceMode
from service.contract.faces.finder import face_finder
from service.contract.image.resize import covered
from service.contract.spec import ModelSpec, Preprocessing, SpecError

# Part of every key of cached tensors of faces: increase it whenever the same picture may be framed otherwise, by the
# finder or by the code here.
FRAMING_VERSION: Final = 1
# The share that a face must span of what it spanned in training. Further out a network that takes
# pictures whole judges the surroundings: residual-cnn 0.1.2 calls 21 % of fakes real at .93 of the span, 71 % at .85.
MIN_SPAN: Final = 0.86


@dataclass(frozen=True, slots=True)
class FacePolicy:
    """What is done about faces.

    Attributes:
        mode: see :data:`service.contract.faces.face.FaceMode`.
        min_face: a face whose box's longer side has fewer pixels is not judged.
        max_faces: at most so many are reported and judged, the largest.
        check_recompression: also judge the picture as it is after another JPEG compression.
    """

    mode: FaceMode = "report"
    min_face: int = MIN_FACE
    max_faces: int = 32
    check_recompression: bool = False


@dataclass(frozen=True, slots=True)
class Look:
    """One part of a picture, brought to the model's input.

    Attributes:
        box: left, top, right and bottom, pixels; may be the whole picture.
        face: the face that it is about; None where none was found, or none looked for.
        wide: a whole picture, in which the face spans too little for a verdict to be about the face.
        drawn: the face is drawn in flat colours (:mod:`service.contract.faces.drawn`).
    """

    box: Box
    face: Face | None = None
    wide: bool = False
    drawn: bool = False


def frame(rgb: Image.Image, preprocessing: Preprocessing, faces: tuple[Face, ...] | None = None) -> Box:
    """Return the part of a picture that a model is trained on, and is shown unless each face is asked for.

    By the framing that the recipe states: what :func:`~service.contract.image.resize.covered` says, or the
    square around the largest face (the former where none is found).

    Args:
        rgb: mode RGB, as decoded.
        preprocessing: of the model.
        faces: largest first, where they are known; default: they are looked for.

    Raises:
        FinderError: the framing needs the face finder, and it does not load.
    """
    whole = _whole(rgb.width, rgb.height, preprocessing)
    if preprocessing.framing == "whole":
        return whole
    if faces is None:
        faces = face_finder().find(rgb, 1)
    return _around(faces[0], rgb.size, preprocessing) if faces else whole


def looks(
    faces: tuple[Face, ...], width: int, height: int, preprocessing: Preprocessing, mode: FaceMode
) -> tuple[Look, ...]:
    """Return what the model is to look at, one look at least, in the order of the faces.

    ``crop`` gives each face a look of its own; else there is one, as in training, about the largest.

    Args:
        faces: largest first.
        width: of the picture, pixels.
        height: of the picture, pixels.
        preprocessing: of the model; for ``crop`` it has a margin (:func:`check_mode`).
        mode: see :data:`service.contract.faces.face.FaceMode`.
    """
    whole = _whole(width, height, preprocessing)
    if mode == "off" or not faces:
        return (Look(whole),)
    if mode == "report" and preprocessing.framing == "whole":
        return (Look(whole, faces[0], _wide(whole, faces[0], preprocessing)),)
    shown = faces if mode == "crop" else faces[:1]
    return tuple(Look(_around(face, (width, height), preprocessing), face) for face in shown)


def check_mode(spec: ModelSpec, mode: FaceMode) -> None:
    """Refuse a way to treat faces that a model cannot be served by.

    Raises:
        SpecError: ``off`` for a model that was trained on cut-out faces, or ``crop`` for one that
            does not say how wide to cut.
    """
    if mode == "off" and spec.framing == "face":
        raise SpecError("framing", "'face' needs the face finder, and faces are 'off'; use 'report' or 'crop'")
    if mode == "crop" and spec.face_margin is None:
        raise SpecError("face_margin", "is missing, so faces cannot be cut out as in training; use 'report' or 'off'")


def check_finder(spec: ModelSpec) -> None:
    """Refuse a model whose margin counts in the boxes of another finder.

    Raises:
        SpecError: it names another.
    """
    if spec.face_finder not in ("", FINDER):
        raise SpecError("face_finder", f"{spec.face_finder!r} is not '{FINDER}', the one that this version has")


def _whole(width: int, height: int, preprocessing: Preprocessing) -> Box:
    return covered(width, height, preprocessing.input_width, preprocessing.input_height, preprocessing.resize_fit)


def _around(face: Face, size: tuple[int, int], preprocessing: Preprocessing) -> Box:
    if preprocessing.face_margin is None:
        raise SpecError("face_margin", "is missing")
    return face.region(preprocessing.face_margin).inside(*size).box


def _wide(box: Box, face: Face, preprocessing: Preprocessing) -> bool:
    """Return whether a face spans far less of what the model sees than it did in training.

    A model that does not know its margin is asked for as many pixels of its input as a face must have.
    """
    across = max(0.0, min(box[2], face.left + face.width) - max(box[0], face.left))
    down = max(0.0, min(box[3], face.top + face.height) - max(box[1], face.top))
    # Half a face counts as one of half the size, however long its remaining strip is.
    inside = across * down / (face.width * face.height)
    shares = across / (box[2] - box[0]), down / (box[3] - box[1])
    if preprocessing.face_margin is not None:
        return max(shares) * inside * preprocessing.face_margin < MIN_SPAN
    return max(shares[0] * preprocessing.input_width, shares[1] * preprocessing.input_height) * inside < MIN_FACE

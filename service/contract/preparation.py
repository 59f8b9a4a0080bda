"""Preparation: a decoded picture to everything that the model is to see of it."""

import io
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from service.contract.box import Box
from service.contract.faces.drawn import is_drawn
from service.contract.faces.face import Face
from service.contract.faces.finder import face_finder
from service.contract.faces.framing import FacePolicy, Look, looks
from service.contract.image.decode import DecodedImage
from service.contract.image.resize import to_tensor
from service.contract.spec import Preprocessing

RECOMPRESSION_QUALITY: Final = 75
_LONGEST_JPEG: Final = 65_500
# Of a face's box, what is looked at for whether it is drawn: hardly any background.
_CORE: Final = 0.9


@dataclass(frozen=True, slots=True)
class Prepared:
    """One picture, ready for the model.

    Attributes:
        faces: all that were found, largest first; empty where none were looked for.
        looks: what the model is shown.
        tensors: uint8 ``[n, H, W, 3]`` RGB: one for every look, and, where recompression is to be
            checked and there are faces, as many again, of the recompressed picture.
    """

    faces: tuple[Face, ...]
    looks: tuple[Look, ...]
    tensors: NDArray[np.uint8]


def find_faces(image: DecodedImage, policy: FacePolicy) -> tuple[Face, ...]:
    """Return the faces of a picture, largest first; none where the policy does not look for them.

    Raises:
        FinderError: the finder does not load or does not run.
    """
    return () if policy.mode == "off" else face_finder().find(image.rgb, policy.max_faces)


def prepare(
    image: DecodedImage, preprocessing: Preprocessing, policy: FacePolicy, faces: tuple[Face, ...] | None = None
) -> Prepared:
    """Cut and resize what the model is to see of a picture.

    Args:
        image: as decoded.
        preprocessing: of the model.
        policy: what is done about faces.
        faces: as :func:`find_faces` returns them; default: they are looked for.

    Raises:
        FinderError: as :func:`find_faces`.
    """
    if faces is None:
        faces = find_faces(image, policy)
    shown = tuple(
        replace(look, drawn=look.face is not None and is_drawn(image.rgb, _core(look.face, image)))
        for look in looks(faces, image.width, image.height, preprocessing, policy.mode)
    )
    tensors = [to_tensor(image, preprocessing, look.box) for look in shown]
    if policy.check_recompression and faces:
        again = recompressed(image)
        scale = again.width / image.width, again.height / image.height
        tensors += [to_tensor(again, preprocessing, _scaled(look.box, *scale)) for look in shown]
    return Prepared(faces, shown, np.stack(tensors))


def recompressed(image: DecodedImage, quality: int = RECOMPRESSION_QUALITY) -> DecodedImage:
    """Return the picture as it is once saved as JPEG (4:2:0) and read again.

    One with a side over 65,500 pixels, which no JPEG can have, is brought to that first.
    """
    rgb, buffer = image.rgb, io.BytesIO()
    if max(rgb.size) > _LONGEST_JPEG:
        rgb = rgb.copy()
        rgb.thumbnail((_LONGEST_JPEG, _LONGEST_JPEG))
    rgb.save(buffer, "JPEG", quality=quality, subsampling=2)
    with Image.open(buffer, formats=["JPEG"]) as saved:
        again = saved.convert("RGB")
    return DecodedImage("JPEG", again.width, again.height, again)


def _core(face: Face, image: DecodedImage) -> Box:
    return face.region(_CORE).inside(image.width, image.height).box


def _scaled(box: Box, across: float, down: float) -> Box:
    return box[0] * across, box[1] * down, box[2] * across, box[3] * down

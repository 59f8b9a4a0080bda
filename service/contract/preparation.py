"""Convert a decoded picture to the model's input tensors."""

import io
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from service.contract.faces.drawn import is_drawn
from service.contract.faces.face import Face
from service.contract.faces.finder import face_finder
from service.contract.faces.framing import FacePolicy, Look, looks
from service.contract.image.decode import DecodedImage
from service.contract.image.resize import to_tensor
from service.contract.spec import Box, Preprocessing

RECOMPRESSION_QUALITY: Final = 75
_MAX_JPEG_SIDE: Final = 65_500
# Side of the square checked for drawings, as a share of the face box's longer side: excludes most of the background.
_CORE: Final = 0.9


@dataclass(frozen=True, slots=True)
class Prepared:
    """One picture, ready for the model.

    Attributes:
        faces: all faces found, largest first; empty if the policy does not search for faces.
        looks: the parts of the picture that the model is shown.
        tensors: uint8 ``[n, H, W, 3]`` RGB, one for each look. If recompression is checked and the
            picture has faces, the same number follows, cut from the recompressed picture.
    """

    faces: tuple[Face, ...]
    looks: tuple[Look, ...]
    tensors: NDArray[np.uint8]


def find_faces(image: DecodedImage, policy: FacePolicy) -> tuple[Face, ...]:
    """Return the faces of a picture, largest first; none if the mode is ``off``.

    Raises:
        FinderError: the face finder does not load or does not run.
    """
    return () if policy.mode == "off" else face_finder().find(image.rgb, policy.max_faces)


def prepare(
    image: DecodedImage, preprocessing: Preprocessing, policy: FacePolicy, faces: tuple[Face, ...] | None = None
) -> Prepared:
    """Cut out and resize the parts of a picture that the model is shown.

    Args:
        image: the decoded picture.
        preprocessing: the model's preprocessing.
        policy: how faces are handled.
        faces: result of :func:`find_faces`; default: search for them.

    Raises:
        FinderError: see :func:`find_faces`.
    """
    if faces is None:
        faces = find_faces(image, policy)
    shown_looks = tuple(
        replace(look, drawn=look.face is not None and is_drawn(image.rgb, _core(look.face, image)))
        for look in looks(faces, image.width, image.height, preprocessing, policy.mode)
    )
    tensors = [to_tensor(image, preprocessing, look.box) for look in shown_looks]
    if policy.check_recompression and faces:
        saved_image = recompressed(image)
        scale = saved_image.width / image.width, saved_image.height / image.height
        tensors += [to_tensor(saved_image, preprocessing, _scaled(look.box, *scale)) for look in shown_looks]
    return Prepared(faces, shown_looks, np.stack(tensors))


def recompressed(image: DecodedImage, quality: int = RECOMPRESSION_QUALITY) -> DecodedImage:
    """Return the picture after saving it as JPEG (4:2:0) and reading it again.

    A picture with a side over 65,500 pixels is shrunk to that first; a JPEG cannot be larger.
    """
    rgb, buffer = image.rgb, io.BytesIO()
    if max(rgb.size) > _MAX_JPEG_SIDE:
        rgb = rgb.copy()
        rgb.thumbnail((_MAX_JPEG_SIDE, _MAX_JPEG_SIDE))
    rgb.save(buffer, "JPEG", quality=quality, subsampling=2)
    with Image.open(buffer, formats=["JPEG"]) as saved:
        reread = saved.convert("RGB")
    return DecodedImage("JPEG", reread.width, reread.height, reread)


def _core(face: Face, image: DecodedImage) -> Box:
    return face.region(_CORE).inside(image.width, image.height).box


def _scaled(box: Box, scale_x: float, scale_y: float) -> Box:
    return box[0] * scale_x, box[1] * scale_y, box[2] * scale_x, box[3] * scale_y

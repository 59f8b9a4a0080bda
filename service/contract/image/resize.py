"""RGB to uint8 tensor: the one resize, shared by training and serving."""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from service.contract.box import Box
from service.contract.image.decode import DecodedImage
from service.contract.spec import Preprocessing, ResizeFilter, ResizeFit

_FILTERS: Final[dict[ResizeFilter, Image.Resampling]] = {
    "nearest": Image.Resampling.NEAREST,
    "box": Image.Resampling.BOX,
    "bilinear": Image.Resampling.BILINEAR,
    "hamming": Image.Resampling.HAMMING,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}


def covered(width: int, height: int, across: int, down: int, fit: ResizeFit) -> Box:
    """Return the part of a picture that becomes the model's input: left, top, right and bottom, pixels.

    ``stretch`` takes all of it. ``crop`` takes what the input's shape just covers (its shortest
    side fits) around the centre.

    Args:
        width: of the picture, pixels.
        height: of the picture, pixels.
        across: columns of the input, pixels.
        down: rows of the input, pixels.
        fit: ``stretch`` or ``crop``.
    """
    if fit == "stretch":
        return 0.0, 0.0, float(width), float(height)
    scale = min(width / across, height / down)
    left, top = (width - across * scale) / 2, (height - down * scale) / 2
    return left, top, left + across * scale, top + down * scale


def resize(
    rgb: Image.Image, height: int, width: int, resize_filter: ResizeFilter, fit: ResizeFit, box: Box | None = None
) -> Image.Image:
    """Cut and resize to exactly ``width`` x ``height``, in one resampling step.

    Args:
        rgb: mode RGB.
        height: target rows, pixels.
        width: target columns, pixels.
        resize_filter: every filter but ``nearest`` widens with the scale, so it antialiases.
        fit: ``stretch`` ignores the aspect ratio, ``crop`` cuts the centre (:func:`covered`).
        box: the part to take instead, inside the picture: left, top, right and bottom, pixels.
    """
    left, top, right, bottom = box or covered(rgb.width, rgb.height, width, height, fit)
    # Rounding may put an edge a hair outside, which Pillow refuses.
    box = (max(0.0, left), max(0.0, top), min(float(rgb.width), right), min(float(rgb.height), bottom))
    if box == (0.0, 0.0, float(width), float(height)) and rgb.size == (width, height):
        return rgb
    return rgb.resize((width, height), _FILTERS[resize_filter], box=box)


def to_tensor(image: DecodedImage, preprocessing: Preprocessing, box: Box | None = None) -> NDArray[np.uint8]:
    """Return the model's input for one picture: uint8 ``[H, W, 3]``, RGB, 0 to 255.

    Args:
        image: as decoded.
        preprocessing: input size, filter and fit; its framing is the caller's business
            (:mod:`service.contract.faces.framing`).
        box: the part to look at, as for :func:`resize`.
    """
    resized = resize(
        image.rgb,
        preprocessing.input_height,
        preprocessing.input_width,
        preprocessing.resize_filter,
        preprocessing.resize_fit,
        box,
    )
    return np.asarray(resized, dtype=np.uint8)

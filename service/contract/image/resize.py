"""Resize RGB pictures to uint8 tensors; shared by training and serving."""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from service.contract.image.decode import DecodedImage
from service.contract.spec import Box, Preprocessing, ResizeFilter, ResizeFit

_FILTERS: Final[dict[ResizeFilter, Image.Resampling]] = {
    "nearest": Image.Resampling.NEAREST,
    "box": Image.Resampling.BOX,
    "bilinear": Image.Resampling.BILINEAR,
    "hamming": Image.Resampling.HAMMING,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}


def covered(width: int, height: int, input_width: int, input_height: int, fit: ResizeFit) -> Box:
    """Return the box of a picture that becomes the model's input: left, top, right, bottom, pixels.

    ``stretch`` takes the whole picture. ``crop`` takes the largest centred box with the aspect
    ratio of the input.

    Args:
        width: width of the picture, pixels.
        height: height of the picture, pixels.
        input_width: columns of the input, pixels.
        input_height: rows of the input, pixels.
        fit: ``stretch`` or ``crop``.
    """
    if fit == "stretch":
        return 0.0, 0.0, float(width), float(height)
    scale = min(width / input_width, height / input_height)
    left, top = (width - input_width * scale) / 2, (height - input_height * scale) / 2
    return left, top, left + input_width * scale, top + input_height * scale


def resize(
    rgb: Image.Image, height: int, width: int, resize_filter: ResizeFilter, fit: ResizeFit, box: Box | None = None
) -> Image.Image:
    """Cut and resize to exactly ``width`` x ``height``, in one resampling step.

    Args:
        rgb: mode RGB.
        height: target rows, pixels.
        width: target columns, pixels.
        resize_filter: every filter except ``nearest`` widens with the scale, so it antialiases.
        fit: ``stretch`` ignores the aspect ratio, ``crop`` cuts the centre (:func:`covered`).
        box: box to use instead of ``fit``, inside the picture: left, top, right, bottom, pixels.
    """
    left, top, right, bottom = box or covered(rgb.width, rgb.height, width, height, fit)
    # Rounding may put an edge slightly outside the picture, which Pillow refuses.
    box = (max(0.0, left), max(0.0, top), min(float(rgb.width), right), min(float(rgb.height), bottom))
    if box == (0.0, 0.0, float(width), float(height)) and rgb.size == (width, height):
        return rgb
    return rgb.resize((width, height), _FILTERS[resize_filter], box=box)


def to_tensor(image: DecodedImage, preprocessing: Preprocessing, box: Box | None = None) -> NDArray[np.uint8]:
    """Return the model's input for one picture: uint8 ``[H, W, 3]``, RGB, 0 to 255.

    Args:
        image: the decoded picture.
        preprocessing: input size, filter and fit; the caller applies its framing
            (:mod:`service.contract.faces.framing`).
        box: box to use instead of the fit, see :func:`resize`.
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

"""Augmentation, on both classes alike, seeded image by image.

``classic`` is what flatten-cnn-300 defined and never used. ``reencode`` is ours: it takes away
what gives a class away without being evidence (framing, size, compression), so that the network
must look at what is left. Every function takes and gives uint8 ``[H, W, 3]``.
"""

import io
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from trainer.recipes import Augmentation

Tensor = NDArray[np.uint8]
Augment = Callable[[Tensor, np.random.Generator], Tensor]

_FILTERS = (Image.Resampling.BILINEAR, Image.Resampling.BICUBIC, Image.Resampling.LANCZOS, Image.Resampling.BOX)


def make_augment(kind: Augmentation, side: int) -> Augment | None:
    """Return the augmentation by name; None for ``none``.

    ``reencode`` gives images of ``side`` x ``side``, ``classic`` images of the size it gets.
    """
    if kind == "classic":
        return classic
    if kind == "reencode":
        return Reencode(side)
    return None


def classic(image: Tensor, rng: np.random.Generator) -> Tensor:
    """Rotation 40 degrees, shifts .2, shear .2, zoom .2, horizontal flip, nearest fill.

    The ranges, their units and the order of the transform are those of Keras's
    ``ImageDataGenerator`` (shear in degrees), which that system named.
    """
    height, width = image.shape[:2]
    theta = np.deg2rad(rng.uniform(-40, 40))
    shear = np.deg2rad(rng.uniform(-0.2, 0.2))
    row_shift, column_shift = rng.uniform(-0.2, 0.2, 2) * (height, width)
    row_zoom, column_zoom = rng.uniform(0.8, 1.2, 2)
    rotation = np.array([[np.cos(theta), -np.sin(theta), 0], [np.sin(theta), np.cos(theta), 0], [0, 0, 1]])
    shift = np.array([[1, 0, row_shift], [0, 1, column_shift], [0, 0, 1]])
    shearing = np.array([[1, -np.sin(shear), 0], [0, np.cos(shear), 0], [0, 0, 1]])
    zoom = np.diag([row_zoom, column_zoom, 1.0])
    centre = np.array([[1, 0, height / 2 - 0.5], [0, 1, width / 2 - 0.5], [0, 0, 1]])
    matrix = centre @ rotation @ shift @ shearing @ zoom @ np.linalg.inv(centre)
    moved = _affine_nearest_fill(image, matrix)
    return moved[:, ::-1] if rng.random() < 0.5 else moved


def _affine_nearest_fill(image: Tensor, matrix: NDArray[np.float64]) -> Tensor:
    """Bilinear affine transform (rows, columns); outside pixels take the nearest border's value."""
    pad = max(image.shape[:2])
    padded = Image.fromarray(np.pad(image, ((pad, pad), (pad, pad), (0, 0)), mode="edge"))
    (a, b, row), (c, d, column) = matrix[0], matrix[1]
    # Pillow wants x, y order, and samples at pixel centres half a pixel off from the matrix.
    half = 0.5
    x = column + pad - half * (d + c) + half
    y = row + pad - half * (a + b) + half
    size = (image.shape[1], image.shape[0])
    moved = padded.transform(size, Image.Transform.AFFINE, (d, c, x, b, a, y), Image.Resampling.BILINEAR)
    return np.asarray(moved, dtype=np.uint8)


class Reencode:
    """Random crop, rescale, blur, noise, greyscale, colour, flip and re-encoding, in random order.

    Crops are taken from a larger cached image and brought to ``side``. Compression comes at any
    point between the other steps, and for a quarter of the images once more at the end, as pictures
    on the web are saved again.
    """

    def __init__(self, side: int) -> None:
        self._side = side

    def __call__(self, image: Tensor, rng: np.random.Generator) -> Tensor:
        """Augment one cached tensor to uint8 ``[side, side, 3]``."""
        picture = self._crop(Image.fromarray(image), rng)
        if rng.random() < 0.5:
            picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        steps: list[tuple[float, Callable[[Image.Image, np.random.Generator], Image.Image]]] = [
            (0.60, _recompress),
            (0.20, _rescale),
            (0.10, _blur),
            (0.15, _noise),
            (0.25, _colour),
            (0.15, _greyscale),
        ]
        for position in rng.permutation(len(steps)):
            probability, step = steps[position]
            if rng.random() < probability:
                picture = step(picture, rng)
        if rng.random() < 0.25:
            picture = _recompress(picture, rng)
        return np.asarray(picture, dtype=np.uint8)

    def _crop(self, picture: Image.Image, rng: np.random.Generator) -> Image.Image:
        """A quarter keeps the whole picture; the rest sees .6 to 1 of each side.

        Even the whole picture was resampled twice, where a served one is resampled once.
        """
        width, height = picture.size
        scale = 1.0 if rng.random() < 0.25 else rng.uniform(0.6, 1.0)
        left, top = rng.uniform(0, width * (1 - scale)), rng.uniform(0, height * (1 - scale))
        box = (left, top, left + width * scale, top + height * scale)
        chosen = Image.Resampling.BICUBIC if scale == 1.0 else _FILTERS[rng.integers(len(_FILTERS))]
        return picture.resize((self._side, self._side), chosen, box=box)


def _recompress(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    buffer = io.BytesIO()
    quality = int(rng.integers(30, 101))
    if rng.random() < 0.15:
        picture.save(buffer, "WEBP", quality=quality, method=0)
    else:
        picture.save(buffer, "JPEG", quality=quality, subsampling=int(rng.choice((0, 2))))
    return Image.open(buffer).convert("RGB")


def _rescale(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    factor = float(2 ** rng.uniform(-1, 1))
    there, back = (_FILTERS[index] for index in rng.integers(len(_FILTERS), size=2))
    size = (max(1, round(picture.width * factor)), max(1, round(picture.height * factor)))
    return picture.resize(size, there).resize(picture.size, back)


def _blur(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    return picture.filter(ImageFilter.GaussianBlur(float(rng.uniform(0.3, 1.2))))


def _noise(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    pixels = np.asarray(picture, dtype=np.float32)
    noisy = pixels + rng.normal(0, rng.uniform(1, 8), pixels.shape).astype(np.float32)
    return Image.fromarray(noisy.clip(0, 255).astype(np.uint8))


def _colour(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    pixels = np.asarray(picture, dtype=np.float32)
    gain = rng.uniform(0.85, 1.15) * rng.uniform(0.95, 1.05, 3)
    changed = (pixels - 128) * rng.uniform(0.85, 1.15) + 128 * gain
    return Image.fromarray(changed.clip(0, 255).astype(np.uint8))


def _greyscale(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    return picture.convert("L").convert("RGB")

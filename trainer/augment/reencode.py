"""Augmentation of both classes, with a random generator per image.

``classic`` is the augmentation that flatten-cnn-300 defined and never used. ``reencode`` is ours: it
removes cues that separate the classes without being evidence (framing, size, compression), so that
the network must learn from the faces. Both map uint8 ``[H, W, 3]`` to uint8 ``[H, W, 3]``. Recipes
with the framing ``face`` also jitter the square around the face.
"""

import io
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from service.contract.faces.face import Face
from service.contract.image.resize import resize
from trainer.augment.drawings import drawing
from trainer.recipes.recipe import FACE_MARGIN, Recipe, Reencoding

Tensor = NDArray[np.uint8]
# Cached tensor, the picture preprocessed as for serving, generator, face in the cached tensor, whether to draw it.
Augment = Callable[[Tensor, Tensor, np.random.Generator, Face | None, bool], Tensor]
Crop = Callable[[Tensor, np.random.Generator, Face], Image.Image]
Step = Callable[[Image.Image, np.random.Generator], Image.Image]

# Lowest factor of ``shrink``: side of the smallest face that is judged (48 pixels), relative to an input side of 160.
_MIN_SHRINK = 0.27
_FILTERS = (Image.Resampling.BILINEAR, Image.Resampling.BICUBIC, Image.Resampling.LANCZOS, Image.Resampling.BOX)


def make_augment(recipe: Recipe) -> Augment | None:
    """Return the augmentation of a recipe, or None."""
    jitter = Jitter(recipe) if recipe.preprocessing.framing == "face" else None
    if recipe.augmentation == "reencode":
        return Reencode(
            recipe.preprocessing.input_height, recipe.reencoding, jitter, recipe.preprocessing.resize_filter
        )
    transform = classic if recipe.augmentation == "classic" else None
    return Framed(jitter, transform) if jitter or transform or recipe.drawings else None


class Framed:
    """Jittered crop to the face, optional drawing and optional transform, in this order."""

    def __init__(
        self, jitter: "Jitter | None", transform: Callable[[Tensor, np.random.Generator], Tensor] | None
    ) -> None:
        self._jitter, self._transform = jitter, transform

    def __call__(
        self, image: Tensor, served: Tensor, rng: np.random.Generator, face: Face | None = None, drawn: bool = False
    ) -> Tensor:
        """Augment a picture to the size of ``served``; for the arguments see :meth:`Reencode.__call__`."""
        picture = np.asarray(self._jitter(image, rng, face), dtype=np.uint8) if self._jitter and face else served
        if drawn:
            picture = np.asarray(drawing(Image.fromarray(picture), rng), dtype=np.uint8)
        return self._transform(picture, rng) if self._transform else picture


class Jitter:
    """Crop to the square around a face with a random margin and centre (``Recipe.face_jitter``)."""

    def __init__(self, recipe: Recipe) -> None:
        spec = recipe.preprocessing
        self._preprocessing, self._margin, self._jitter = spec, spec.face_margin or FACE_MARGIN, recipe.face_jitter

    def __call__(self, image: Tensor, rng: np.random.Generator, face: Face) -> Image.Image:
        """Return a picture of the input size.

        Args:
            image: cached tensor, large enough for the largest jitter.
            rng: source of margin and centre.
            face: face in pixels of ``image``.
        """
        margin = self._margin * rng.uniform(1 - self._jitter, 1 + self._jitter)
        right, down = rng.uniform(-self._jitter / 2, self._jitter / 2, 2)
        region = face.region(margin, shift=(right, down)).inside(image.shape[1], image.shape[0])
        spec = self._preprocessing
        picture = Image.fromarray(image)
        return resize(picture, spec.input_height, spec.input_width, spec.resize_filter, spec.resize_fit, region.box)


def classic(image: Tensor, rng: np.random.Generator) -> Tensor:
    """Rotate by up to 40 degrees, shift, shear and zoom by up to 0.2, flip horizontally, fill with the nearest pixel.

    Ranges, units (shear in degrees) and the order of the transforms are those of Keras's
    ``ImageDataGenerator``, which flatten-cnn-300 configured.
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
    transformed = _affine_nearest_fill(image, matrix)
    return transformed[:, ::-1] if rng.random() < 0.5 else transformed


def _affine_nearest_fill(image: Tensor, matrix: NDArray[np.float64]) -> Tensor:
    """Apply an affine transform (rows, columns) with bilinear sampling; outside pixels repeat the nearest border."""
    pad = max(image.shape[:2])
    padded = Image.fromarray(np.pad(image, ((pad, pad), (pad, pad), (0, 0)), mode="edge"))
    (a, b, row), (c, d, column) = matrix[0], matrix[1]
    # Pillow takes x before y, and samples at pixel centres, half a pixel off from the matrix.
    half = 0.5
    x = column + pad - half * (d + c) + half
    y = row + pad - half * (a + b) + half
    size = (image.shape[1], image.shape[0])
    transformed = padded.transform(size, Image.Transform.AFFINE, (d, c, x, b, a, y), Image.Resampling.BILINEAR)
    return np.asarray(transformed, dtype=np.uint8)


class Reencode:
    """Random crop and flip; then compression, rescale, shrink, blur, sharpen, noise, colour, greyscale, mask.

    The steps come in random order, with the probabilities of :class:`trainer.recipes.recipe.Reencoding`.
    Compression may be repeated at the end, as pictures on the web are re-saved. Blur and JPEG in training
    make a detector generalise to other generators (Wang et al. 2020, arXiv:1912.11035).
    """

    def __init__(
        self, side: int, settings: Reencoding, jitter: Crop | None = None, resize_filter: str = "bicubic"
    ) -> None:
        self._side, self._settings, self._jitter = side, settings, jitter
        self._filter = Image.Resampling[resize_filter.upper()]
        self._steps: tuple[tuple[float, Step], ...] = (
            (settings.recompress, self._recompress),
            (settings.rescale, _rescale),
            (settings.shrink, self._shrink),
            (settings.blur, _blur),
            (settings.sharpen, _sharpen),
            (settings.noise, _noise),
            (settings.colour, _colour),
            (settings.greyscale, _greyscale),
            (settings.mask, _mask),
        )

    def __call__(
        self, image: Tensor, served: Tensor, rng: np.random.Generator, face: Face | None = None, drawn: bool = False
    ) -> Tensor:
        """Augment a picture to uint8 ``[side, side, 3]``.

        Args:
            image: cached tensor that crops are taken from, at least as large as ``side``.
            served: the same picture preprocessed as for serving, ``[side, side, 3]``.
            rng: source of all randomness.
            face: face in pixels of ``image``, for the framing ``face``.
            drawn: whether to turn the picture into a drawing first (:mod:`trainer.augment.drawings`).
        """
        picture = self._crop(image, served, rng, face)
        if drawn:
            picture = drawing(picture, rng)
        if rng.random() < self._settings.flip:
            picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        for position in rng.permutation(len(self._steps)):
            probability, step = self._steps[position]
            if rng.random() < probability:
                picture = step(picture, rng)
        if rng.random() < self._settings.recompress_again:
            picture = self._recompress(picture, rng)
        return np.asarray(picture, dtype=np.uint8)

    def _crop(self, image: Tensor, served: Tensor, rng: np.random.Generator, face: Face | None) -> Image.Image:
        """Return the picture as served, a crop of native pixels at a random offset, or a zoomed or jittered crop."""
        draw = rng.random()
        if draw < self._settings.whole:
            return Image.fromarray(served)
        height, width = image.shape[:2]
        if draw < self._settings.whole + self._settings.native:
            top, left = rng.integers(0, height - self._side + 1), rng.integers(0, width - self._side + 1)
            return Image.fromarray(image[top : top + self._side, left : left + self._side])
        if self._jitter and face:
            return self._jitter(image, rng, face)
        scale = rng.uniform(*self._settings.zoom)
        left, top = rng.uniform(0, width * (1 - scale)), rng.uniform(0, height * (1 - scale))
        box = (left, top, left + width * scale, top + height * scale)
        return Image.fromarray(image).resize(
            (self._side, self._side), _FILTERS[rng.integers(len(_FILTERS))], box=box, reducing_gap=3.0
        )

    def _recompress(self, picture: Image.Image, rng: np.random.Generator) -> Image.Image:
        buffer, quality = io.BytesIO(), int(rng.integers(self._settings.quality[0], self._settings.quality[1] + 1))
        if rng.random() < self._settings.webp:
            picture.save(buffer, "WEBP", quality=quality, method=0)
        else:
            picture.save(buffer, "JPEG", quality=quality, subsampling=int(rng.choice((0, 2))))
        return Image.open(buffer).convert("RGB")

    def _shrink(self, picture: Image.Image, rng: np.random.Generator) -> Image.Image:
        """Imitate a small original: shrink, compress, and enlarge as for serving.

        Where only one class has small originals, a network would learn softness as its cue.
        """
        factor = float(np.exp(rng.uniform(np.log(_MIN_SHRINK), 0)))
        size = (max(8, round(picture.width * factor)), max(8, round(picture.height * factor)))
        small = picture.resize(size, _FILTERS[rng.integers(len(_FILTERS))])
        return self._recompress(small, rng).resize(picture.size, self._filter)


def _rescale(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    factor = float(2 ** rng.uniform(-1, 1))
    first_filter, second_filter = (_FILTERS[index] for index in rng.integers(len(_FILTERS), size=2))
    size = (max(1, round(picture.width * factor)), max(1, round(picture.height * factor)))
    return picture.resize(size, first_filter).resize(picture.size, second_filter)


def _blur(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    return picture.filter(ImageFilter.GaussianBlur(float(rng.uniform(0.3, 1.2))))


def _sharpen(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Apply an unsharp mask, as cameras and editors do; few training photos are sharp, but most fakes are."""
    mask = ImageFilter.UnsharpMask(float(rng.uniform(0.5, 2.0)), int(rng.integers(30, 181)), threshold=0)
    return picture.filter(mask)


def _noise(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    pixels = np.asarray(picture, dtype=np.float32)
    noisy = pixels + rng.normal(0, rng.uniform(1, 8), pixels.shape).astype(np.float32)
    return Image.fromarray(noisy.clip(0, 255).round().astype(np.uint8))


def _colour(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    pixels = np.asarray(picture, dtype=np.float32)
    gain = rng.uniform(0.85, 1.15) * rng.uniform(0.95, 1.05, 3)
    changed = (pixels - 128) * rng.uniform(0.85, 1.15) + 128 * gain
    return Image.fromarray(changed.clip(0, 255).round().astype(np.uint8))


def _greyscale(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    return picture.convert("L").convert("RGB")


def _mask(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Cover one to three rectangles of up to 40 % of each side (DeVries and Taylor 2017, arXiv:1708.04552)."""
    covered = picture.copy()
    draw = ImageDraw.Draw(covered)
    for _ in range(int(rng.integers(1, 4))):
        width, height = rng.uniform(0.1, 0.4, 2) * picture.size
        left, top = rng.uniform(0, picture.width - width), rng.uniform(0, picture.height - height)
        draw.rectangle((left, top, left + width, top + height), fill=tuple(map(int, rng.integers(0, 256, 3))))
    return covered

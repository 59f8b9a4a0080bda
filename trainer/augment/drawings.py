"""Drawings: photos and fakes alike made into what is neither, so that a network learns not to be sure of it.

A drawing, painting or cartoon of a face is no photo and need not come from a generator. Pictures like it are shown with
both classes equally right: outlier exposure (Hendrycks et al. 2019, arXiv:1812.04606). Every technique takes and gives
an RGB picture of any size.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageDraw, ImageEnhance, ImageFilter, ImageOps
from scipy import ndimage

from trainer.augment.cartoons import cartoon

Technique = Callable[[Image.Image, np.random.Generator], Image.Image]
Grey = NDArray[np.float32]

_ENLARGED = (1.0, 1.0, 1.5)  # drawn large and shrunk, strokes and edges are fine
_WHITE = 255
_USUAL = 160  # side for which strokes and blurs are given, pixels
_LEAST = 8  # side under which nothing can be bent


def drawing(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Return the picture drawn by one technique, or painted and then inked; often bent and recoloured first.

    Args:
        picture: RGB.
        rng: decides everything.
    """
    size, enlarged = picture.size, float(rng.choice(_ENLARGED))
    if rng.random() < 0.4:
        picture = _bent(picture, rng)
    if rng.random() < 0.5:
        picture = _recoloured(picture, rng)
    if enlarged != 1:
        picture = picture.resize((round(size[0] * enlarged), round(size[1] * enlarged)), Image.Resampling.BICUBIC)
    picture = TECHNIQUES[rng.integers(len(TECHNIQUES))](picture, rng)
    if rng.random() < 0.3:
        picture = inked(picture, rng)
    return picture.resize(size, Image.Resampling.BICUBIC)


def flat_colours(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Few colours, without dithering, as in clip art."""
    smooth = picture.filter(ImageFilter.GaussianBlur(float(rng.uniform(0, 2)) * _unit(picture)))
    palette = smooth.resize((48, 48)).quantize(int(rng.integers(3, 25)))
    return smooth.quantize(palette=palette, dither=Image.Dither.NONE).convert("RGB")


def posterised(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """One to three bits a channel."""
    smooth = picture.filter(ImageFilter.GaussianBlur(float(rng.uniform(0, 2)) * _unit(picture)))
    return ImageOps.posterize(smooth, int(rng.integers(1, 4)))


def painted(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Each pixel the mean of the calmest of four squares that touch it (Kuwahara et al. 1976), once or twice."""
    radius = max(1, round(float(rng.uniform(1.5, 3.5)) * _unit(picture)))
    for _ in range(int(rng.integers(1, 3))):
        picture = _kuwahara(picture, radius)
    return picture


def _kuwahara(picture: Image.Image, radius: int) -> Image.Image:
    """Take squares of ``2 * radius + 1`` pixels whose middles are ``radius`` away to either side."""
    grey = np.asarray(picture.convert("L"), dtype=np.float32)
    side = 2 * radius + 1
    spread = ndimage.uniform_filter(grey**2, side) - ndimage.uniform_filter(grey, side) ** 2
    mean = np.asarray(picture.filter(ImageFilter.BoxBlur(radius)))
    calmest, least = np.zeros_like(mean), np.full_like(grey, np.inf)
    around = (radius, radius)  # what lies beyond the border is as what lies at it
    spread, mean = np.pad(spread, around, mode="edge"), np.pad(mean, (around, around, (0, 0)), mode="edge")
    for down, right in ((0, 0), (0, 2 * radius), (2 * radius, 0), (2 * radius, 2 * radius)):
        square = np.s_[down : down + grey.shape[0], right : right + grey.shape[1]]
        calmer = spread[square] < least
        calmest = np.where(calmer[..., None], mean[square], calmest)
        least = np.where(calmer, spread[square], least)
    return Image.fromarray(calmest)


def brushed(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Strokes across the gradient over a blurred ground, large ones first (after Hertzmann 1998)."""
    unit = _unit(picture)
    source = picture.filter(ImageFilter.GaussianBlur(2 * unit))
    pixels = np.asarray(source)
    grey = pixels.mean(-1)
    across = np.arctan2(ndimage.sobel(grey, 0), ndimage.sobel(grey, 1)) + np.pi / 2
    canvas = source.filter(ImageFilter.GaussianBlur(6 * unit))
    draw = ImageDraw.Draw(canvas)
    for width, count in ((rng.uniform(6, 10), 200), (rng.uniform(3, 5), 400), (rng.uniform(1.5, 2.5), 500)):
        columns, rows = rng.integers(0, picture.width, count), rng.integers(0, picture.height, count)
        angles = across[rows, columns] + rng.normal(0, 0.3, count)
        reach = np.stack([np.cos(angles), np.sin(angles)], 1) * (width * unit * rng.uniform(0.8, 2.5, (count, 1)))
        colours = np.clip(pixels[rows, columns] + rng.normal(0, 8, (count, 3)), 0, 255).astype(int)
        for x, y, (right, down), colour in zip(columns, rows, reach, colours, strict=True):
            line = (x - right, y - down, x + right, y + down)
            draw.line(line, fill=tuple(map(int, colour)), width=max(1, round(width * unit)))
    return canvas


def pencilled(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Lines where grey is darker than around it, on white or over faint colour, with the grain of paper."""
    grey, unit = np.asarray(picture.convert("L"), dtype=np.float32), _unit(picture)
    around = ndimage.gaussian_filter(grey, float(rng.uniform(2, 8)) * unit)
    lines = np.clip(grey / np.maximum(around, 1), 0, 1) ** float(rng.uniform(1, 5)) * _WHITE
    lines += rng.normal(0, rng.uniform(0, 8), lines.shape)
    sheet = Image.fromarray(lines.clip(0, 255).astype(np.uint8)).convert("RGB")
    if rng.random() < 0.5:
        return sheet
    soft = picture.filter(ImageFilter.GaussianBlur(float(rng.uniform(1, 4)) * unit))
    return Image.blend(sheet, ImageChops.multiply(sheet, soft), float(rng.uniform(0.3, 1)))


def black_and_white(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Ink alone: dark against a threshold or against what is around it."""
    unit = _unit(picture)
    grey = ndimage.gaussian_filter(
        np.asarray(picture.convert("L"), dtype=np.float32), float(rng.uniform(0.5, 2)) * unit
    )
    around = ndimage.uniform_filter(grey, max(3, round(15 * unit)))
    limit = float(np.median(grey)) if rng.random() < 0.4 else around - rng.uniform(1, 6)
    return Image.fromarray(np.where(grey > limit, 255, 0).astype(np.uint8)).convert("RGB")


def pixel_art(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Large square pixels, of few colours or of all."""
    side = int(rng.integers(16, 49))
    small = picture.resize((side, side), Image.Resampling.BOX)
    if rng.random() < 0.6:
        small = small.quantize(int(rng.integers(6, 33)), dither=Image.Dither.NONE).convert("RGB")
    return small.resize(picture.size, Image.Resampling.NEAREST)


def inked(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Dark lines along edges, by a difference of Gaussians (Winnemoeller et al. 2012)."""
    grey = np.asarray(picture.convert("L"), dtype=np.float32)
    fine = float(rng.uniform(0.6, 1.6)) * _unit(picture)
    apart = ndimage.gaussian_filter(grey, fine) - ndimage.gaussian_filter(grey, 1.6 * fine)
    ink = 1 + np.tanh(np.minimum(apart + float(rng.uniform(0.3, 2)), 0) * float(rng.uniform(0.3, 1)))
    return ImageChops.multiply(picture, Image.fromarray((ink * 255).astype(np.uint8)).convert("RGB"))


def invented(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """A cartoon of nobody in the picture's place, or over a painting of it."""
    drawn = cartoon(picture.size, rng)
    return drawn if rng.random() < 0.7 else Image.blend(painted(picture, rng), drawn, float(rng.uniform(0.2, 0.8)))


def smeared(picture: Image.Image, _: np.random.Generator) -> Image.Image:
    """The commonest value around each pixel, as thick paint."""
    return picture.filter(ImageFilter.ModeFilter(5))


def stippled(picture: Image.Image, _: np.random.Generator) -> Image.Image:
    """Black dots on white (Floyd and Steinberg 1976)."""
    return picture.convert("L").convert("1").convert("RGB")


def _unit(picture: Image.Image) -> float:
    return picture.width / _USUAL


def _recoloured(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Turn the hues and strengthen colour and contrast."""
    hue, saturation, value = picture.convert("HSV").split()
    turn = int(rng.normal(0, 12) if rng.random() < 0.7 else rng.integers(0, 256))
    hue = hue.point([(level + turn) % 256 for level in range(256)])
    turned = Image.merge("HSV", (hue, saturation, value)).convert("RGB")
    return ImageEnhance.Contrast(ImageEnhance.Color(turned).enhance(float(rng.uniform(0.7, 2.2)))).enhance(
        float(rng.uniform(0.8, 1.6))
    )


def _bent(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Move a coarse grid of points, as a caricature does."""
    if min(picture.size) < _LEAST:
        return picture
    cells = 4
    steps = np.linspace(0, 1, cells + 1)
    moved = np.stack(np.meshgrid(steps, steps), -1)
    moved[1:-1, 1:-1] += rng.normal(0, 0.03, (cells - 1, cells - 1, 2))
    moved *= picture.size
    mesh = []
    for row in range(cells):
        for column in range(cells):
            edges = (steps[column] * picture.width, steps[row] * picture.height)
            ends = (steps[column + 1] * picture.width, steps[row + 1] * picture.height)
            corners = (moved[row, column], moved[row + 1, column], moved[row + 1, column + 1], moved[row, column + 1])
            box = tuple(round(float(edge)) for edge in (*edges, *ends))
            mesh.append((box, tuple(float(value) for corner in corners for value in corner)))
    return picture.transform(picture.size, Image.Transform.MESH, mesh, Image.Resampling.BILINEAR)


TECHNIQUES: tuple[Technique, ...] = (
    flat_colours,
    posterised,
    painted,
    painted,
    brushed,
    brushed,
    pencilled,
    black_and_white,
    pixel_art,
    invented,
    invented,
)
# Never trained on, for :mod:`trainer.evaluation.on_drawings` to see how far what was learned reaches.
KEPT_BACK: tuple[Technique, ...] = (smeared, stippled)

"""Drawings: turn photos and fakes into drawings, for which a network learns not to be confident.

A drawing, painting or cartoon of a face is not a photo, and need not come from a generator. Training labels it half
real, half fake: outlier exposure (Hendrycks et al. 2019, arXiv:1812.04606). Every technique maps an RGB picture of any
size to an RGB picture of the same size.
"""

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageEnhance, ImageFilter, ImageOps
from scipy import ndimage

from trainer.augment.cartoons import cartoon

Technique = Callable[[Image.Image, np.random.Generator], Image.Image]

_SCALES = (1.0, 1.0, 1.5)  # drawing at a larger scale and shrinking makes strokes and edges finer
_WHITE = 255
_REFERENCE_SIDE = 160  # strokes and blurs are specified for a picture of this width, pixels
_MIN_WARP_SIDE = 8  # smaller pictures cannot be warped, pixels


def drawing(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Return the picture drawn with a random technique, sometimes inked; often warped and recoloured first.

    Args:
        picture: picture, mode RGB.
        rng: source of all randomness.
    """
    size, scale = picture.size, float(rng.choice(_SCALES))
    if rng.random() < 0.4:
        picture = _warped(picture, rng)
    if rng.random() < 0.5:
        picture = _recoloured(picture, rng)
    if scale != 1:
        picture = picture.resize((round(size[0] * scale), round(size[1] * scale)), Image.Resampling.BICUBIC)
    picture = TECHNIQUES[rng.integers(len(TECHNIQUES))](picture, rng)
    if rng.random() < 0.3:
        picture = inked(picture, rng)
    return picture.resize(size, Image.Resampling.BICUBIC)


def flat_colours(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Reduce the picture to a few colours without dithering, as in clip art."""
    smooth = picture.filter(ImageFilter.GaussianBlur(float(rng.uniform(0, 2)) * _unit(picture)))
    palette = smooth.resize((48, 48)).quantize(int(rng.integers(3, 25)))
    return smooth.quantize(palette=palette, dither=Image.Dither.NONE).convert("RGB")


def posterised(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Reduce each channel to between one and three bits."""
    smooth = picture.filter(ImageFilter.GaussianBlur(float(rng.uniform(0, 2)) * _unit(picture)))
    return ImageOps.posterize(smooth, int(rng.integers(1, 4)))


def painted(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Apply the Kuwahara filter (Kuwahara et al. 1976) once or twice.

    It sets each pixel to the mean of the one of four adjacent squares that has the lowest variance.
    """
    radius = max(1, round(float(rng.uniform(1.5, 3.5)) * _unit(picture)))
    for _ in range(int(rng.integers(1, 3))):
        picture = _kuwahara(picture, radius)
    return picture


def _kuwahara(picture: Image.Image, radius: int) -> Image.Image:
    """Filter with squares of ``2 * radius + 1`` pixels, centred at ``radius`` pixels to either side."""
    grey = np.asarray(picture.convert("L"), dtype=np.float32)
    side = 2 * radius + 1
    variance = ndimage.uniform_filter(grey**2, side) - ndimage.uniform_filter(grey, side) ** 2
    mean = np.asarray(picture.filter(ImageFilter.BoxBlur(radius)))
    filtered, lowest = np.zeros_like(mean), np.full_like(grey, np.inf)
    margin = (radius, radius)
    variance, mean = np.pad(variance, margin, mode="edge"), np.pad(mean, (margin, margin, (0, 0)), mode="edge")
    for down, right in ((0, 0), (0, 2 * radius), (2 * radius, 0), (2 * radius, 2 * radius)):
        square = np.s_[down : down + grey.shape[0], right : right + grey.shape[1]]
        lower = variance[square] < lowest
        filtered = np.where(lower[..., None], mean[square], filtered)
        lowest = np.where(lower, variance[square], lowest)
    return Image.fromarray(filtered)


def brushed(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Paint strokes across the gradient over a blurred background, large ones first (after Hertzmann 1998)."""
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
    """Draw lines where grey is darker than its surroundings, on white or faint colour, with paper grain."""
    grey, unit = np.asarray(picture.convert("L"), dtype=np.float32), _unit(picture)
    surroundings = ndimage.gaussian_filter(grey, float(rng.uniform(2, 8)) * unit)
    lines = np.clip(grey / np.maximum(surroundings, 1), 0, 1) ** float(rng.uniform(1, 5)) * _WHITE
    lines += rng.normal(0, rng.uniform(0, 8), lines.shape)
    sheet = Image.fromarray(lines.clip(0, 255).astype(np.uint8)).convert("RGB")
    if rng.random() < 0.5:
        return sheet
    soft = picture.filter(ImageFilter.GaussianBlur(float(rng.uniform(1, 4)) * unit))
    return Image.blend(sheet, ImageChops.multiply(sheet, soft), float(rng.uniform(0.3, 1)))


def black_and_white(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Reduce the picture to black and white, by a global threshold or one that follows the surroundings."""
    unit = _unit(picture)
    grey = ndimage.gaussian_filter(
        np.asarray(picture.convert("L"), dtype=np.float32), float(rng.uniform(0.5, 2)) * unit
    )
    surroundings = ndimage.uniform_filter(grey, max(3, round(15 * unit)))
    threshold = float(np.median(grey)) if rng.random() < 0.4 else surroundings - rng.uniform(1, 6)
    return Image.fromarray(np.where(grey > threshold, 255, 0).astype(np.uint8)).convert("RGB")


def pixel_art(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Reduce the picture to large square pixels, sometimes of few colours."""
    side = int(rng.integers(16, 49))
    small = picture.resize((side, side), Image.Resampling.BOX)
    if rng.random() < 0.6:
        small = small.quantize(int(rng.integers(6, 33)), dither=Image.Dither.NONE).convert("RGB")
    return small.resize(picture.size, Image.Resampling.NEAREST)


def inked(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Draw dark lines along edges by a difference of Gaussians (Winnemoeller et al. 2012)."""
    grey = np.asarray(picture.convert("L"), dtype=np.float32)
    fine = float(rng.uniform(0.6, 1.6)) * _unit(picture)
    difference = ndimage.gaussian_filter(grey, fine) - ndimage.gaussian_filter(grey, 1.6 * fine)
    ink = 1 + np.tanh(np.minimum(difference + float(rng.uniform(0.3, 2)), 0) * float(rng.uniform(0.3, 1)))
    return ImageChops.multiply(picture, Image.fromarray((ink * 255).astype(np.uint8)).convert("RGB"))


def invented(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Replace the picture by a cartoon of no real person, or blend the cartoon over a painting of the picture."""
    drawn = cartoon(picture.size, rng)
    return drawn if rng.random() < 0.7 else Image.blend(painted(picture, rng), drawn, float(rng.uniform(0.2, 0.8)))


def smeared(picture: Image.Image, _: np.random.Generator) -> Image.Image:
    """Set each pixel to the most common value around it, like thick paint."""
    return picture.filter(ImageFilter.ModeFilter(5))


def stippled(picture: Image.Image, _: np.random.Generator) -> Image.Image:
    """Dither the picture to black dots on white (Floyd and Steinberg 1976)."""
    return picture.convert("L").convert("1").convert("RGB")


def _unit(picture: Image.Image) -> float:
    return picture.width / _REFERENCE_SIDE


def _recoloured(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Rotate the hues, and change saturation and contrast."""
    hue, saturation, value = picture.convert("HSV").split()
    rotation = int(rng.normal(0, 12) if rng.random() < 0.7 else rng.integers(0, 256))
    hue = hue.point([(level + rotation) % 256 for level in range(256)])
    rotated = Image.merge("HSV", (hue, saturation, value)).convert("RGB")
    return ImageEnhance.Contrast(ImageEnhance.Color(rotated).enhance(float(rng.uniform(0.7, 2.2)))).enhance(
        float(rng.uniform(0.8, 1.6))
    )


def _warped(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Warp the picture by a random displacement of a coarse grid, as a caricature does."""
    if min(picture.size) < _MIN_WARP_SIDE:
        return picture
    cells = 4
    steps = np.linspace(0, 1, cells + 1)
    displaced = np.stack(np.meshgrid(steps, steps), -1)
    displaced[1:-1, 1:-1] += rng.normal(0, 0.03, (cells - 1, cells - 1, 2))
    displaced *= picture.size
    mesh = []
    for row in range(cells):
        for column in range(cells):
            edges = (steps[column] * picture.width, steps[row] * picture.height)
            ends = (steps[column + 1] * picture.width, steps[row + 1] * picture.height)
            corners = (
                displaced[row, column],
                displaced[row + 1, column],
                displaced[row + 1, column + 1],
                displaced[row, column + 1],
            )
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
# Not used in training, so that :mod:`trainer.evaluation.on_drawings` can measure generalisation to other techniques.
KEPT_BACK: tuple[Technique, ...] = (smeared, stippled)

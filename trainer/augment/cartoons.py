"""Cartoons: random faces drawn from simple shapes, in the manner of avatars, emoji and comics."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageDraw, ImageFilter

Colour = tuple[int, int, int]
_SUPERSAMPLING = 2  # drawn at a multiple of the size and shrunk, for smooth edges
_SKINS: tuple[Colour, ...] = (
    (255, 220, 177),
    (241, 194, 125),
    (198, 134, 66),
    (141, 85, 36),
    (80, 50, 30),
    (255, 204, 50),
)


class _Pen:
    """Draws on a square picture in units of its side, with or without an outline."""

    def __init__(self, side: int, rng: np.random.Generator) -> None:
        self.image = Image.new("RGB", (side, side), _any_colour(rng))
        self.rng, self.side = rng, side
        self._draw = ImageDraw.Draw(self.image)
        self._line = float(rng.choice((0, 0.008, 0.015, 0.025)))
        self._ink: Colour = (20, 15, 15) if rng.random() < 0.7 else _any_colour(rng)

    def oval(self, x: float, y: float, width: float, height: float, colour: Colour, power: float = 2.0) -> None:
        """Draw a superellipse around a point; ``power`` 2 is an ellipse, a higher power is closer to a rectangle."""
        turn = np.linspace(0, 2 * np.pi, 40, endpoint=False)
        right = np.sign(np.cos(turn)) * np.abs(np.cos(turn)) ** (2 / power) * width / 2
        down = np.sign(np.sin(turn)) * np.abs(np.sin(turn)) ** (2 / power) * height / 2
        self.shape(np.stack([x + right, y + down], 1), colour)

    def shape(self, points: NDArray[np.float64], colour: Colour) -> None:
        """Fill a polygon, and draw its outline where the pen has one."""
        corners = [(float(x) * self.side, float(y) * self.side) for x, y in points]
        self._draw.polygon(corners, fill=colour)
        if self._line:
            self.curve(points, self._ink, self._line, closed=True)

    def curve(self, points: NDArray[np.float64], colour: Colour, width: float, *, closed: bool = False) -> None:
        """Draw a line through the points."""
        corners = [(float(x) * self.side, float(y) * self.side) for x, y in points]
        corners += corners[:1] if closed else []
        self._draw.line(corners, fill=colour, width=max(1, round(width * self.side)), joint="curve")


def cartoon(size: tuple[int, int], rng: np.random.Generator) -> Image.Image:
    """Return a cartoon of a face that fills the picture, mode RGB.

    Args:
        size: width and height, pixels.
        rng: source of all randomness.
    """
    side = _SUPERSAMPLING * max(size)
    pen = _Pen(side, rng)
    skin = _SKINS[rng.integers(len(_SKINS))] if rng.random() < 0.8 else _any_colour(rng)
    hair = _any_colour(rng) if rng.random() < 0.4 else _darker((120, 80, 40), float(rng.uniform(0.1, 2)))
    _head(pen, skin, hair)
    eye = float(rng.uniform(0.36, 0.48))
    _eyes(pen, eye, hair)
    _nose(pen, float(rng.uniform(0.52, 0.62)), skin)
    _mouth(pen, float(rng.uniform(0.7, 0.82)))
    if rng.random() < 0.2:
        _glasses(pen, eye)
    image = _shaded(pen.image, rng) if rng.random() < 0.6 else pen.image
    return image.resize(size, Image.Resampling.BOX)


def _head(pen: _Pen, skin: Colour, hair: Colour) -> None:
    rng, width, height = pen.rng, float(pen.rng.uniform(0.7, 0.95)), float(pen.rng.uniform(0.9, 1.1))
    power = float(rng.uniform(1.8, 3.5))
    if rng.random() < 0.4:  # long hair, behind the head
        pen.oval(0.5, 0.5, width * 1.3, height * 1.3, hair, power)
    if rng.random() < 0.6:
        for x in (0.5 - width / 2, 0.5 + width / 2):
            pen.oval(x, 0.5, 0.12, 0.2, skin)
    pen.oval(0.5, 0.5, width, height, skin, power)
    if rng.random() < 0.8:
        fringe = float(rng.uniform(0.15, 0.3))
        edge = np.linspace(0.5 - width * 0.55, 0.5 + width * 0.55, 12)
        teeth = fringe + rng.normal(0, 0.04, 12) - 0.15 * np.abs(np.linspace(-1, 1, 12)) ** 2 * rng.normal()
        pen.shape(np.concatenate([np.stack([edge, teeth], 1), [(1.0, -0.1), (0.0, -0.1)]]), hair)
    if rng.random() < 0.2:
        pen.oval(0.5, 0.92, width * 0.8, 0.4, hair, power)


def _eyes(pen: _Pen, y: float, hair: Colour) -> None:
    rng, distance = pen.rng, float(pen.rng.uniform(0.17, 0.24))
    width, height = float(rng.uniform(0.04, 0.22)), float(rng.uniform(0.04, 0.25))
    iris, kind = _any_colour(rng), rng.random()
    brow, slant = float(rng.uniform(0.03, 0.12)), float(rng.normal(0, 0.03))
    for sign in (-1, 1):
        x = 0.5 + sign * distance
        if kind < 0.2:  # closed eyes
            arc = np.linspace(-1, 1, 9)
            pen.curve(np.stack([x + arc * 0.08, y + (arc**2 - 0.5) * 0.05], 1), (20, 15, 15), 0.02)
        else:
            if kind > 0.45:
                pen.oval(x, y, width + 0.05, height + 0.03, (255, 255, 255))
            pen.oval(x, y + height * 0.1, width * 0.7, height * 0.75, iris if kind > 0.6 else (15, 10, 10))
            pen.oval(x, y + height * 0.1, width * 0.3, height * 0.35, (10, 5, 5))
            if kind > 0.7:
                pen.oval(x - width * 0.1, y - height * 0.1, width * 0.2, height * 0.2, (255, 255, 255))
        if rng.random() < 0.9:
            above, tilt = y - height / 2 - brow, sign * slant
            line = np.array([(x - 0.1, above - tilt), (x + 0.1, above + tilt)])
            pen.curve(line, _darker(hair, 0.7), float(rng.uniform(0.01, 0.05)))


def _nose(pen: _Pen, y: float, skin: Colour) -> None:
    kind, dark = pen.rng.random(), _darker(skin, 0.8)
    if kind < 0.4:
        pen.oval(0.5, y, float(pen.rng.uniform(0.05, 0.18)), float(pen.rng.uniform(0.05, 0.2)), dark)
    elif kind < 0.8:
        pen.curve(np.array([(0.48, y - 0.12), (0.54, y), (0.47, y + 0.02)]), _darker(skin, 0.5), 0.015)


def _mouth(pen: _Pen, y: float) -> None:
    rng, width, bend = pen.rng, float(pen.rng.uniform(0.08, 0.25)), float(pen.rng.normal(0.03, 0.04))
    arc = np.linspace(-1, 1, 13)
    upper = np.stack([0.5 + arc * width, y + bend * (1 - arc**2) - bend / 2], 1)
    kind = rng.random()
    if kind < 0.4:
        pen.curve(upper, _darker((200, 60, 60), float(rng.uniform(0, 1))), float(rng.uniform(0.01, 0.03)))
        return
    lower = upper + np.stack([np.zeros(13), float(rng.uniform(0.03, 0.14)) * (1 - arc**2)], 1)
    lips: Colour = (190, 50, 60) if kind < 0.8 else (90, 20, 30)
    pen.shape(np.concatenate([upper, lower[::-1]]), lips)
    if rng.random() < 0.4:
        pen.curve(upper[3:-3] + np.array((0, 0.015)), (255, 255, 255), 0.02)


def _glasses(pen: _Pen, y: float) -> None:
    side, dark = float(pen.rng.uniform(0.2, 0.3)), pen.rng.random() < 0.4
    turn = np.linspace(0, 2 * np.pi, 24)
    for x in (0.3, 0.7):
        if dark:
            pen.oval(x, y, side, side, (20, 20, 30), 3)
        pen.curve(np.stack([x + np.cos(turn) * side / 2, y + np.sin(turn) * side / 2], 1), (20, 20, 20), 0.02)
    pen.curve(np.array([(0.3 + side / 2, y), (0.7 - side / 2, y)]), (20, 20, 20), 0.02)


def _shaded(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Add light from one side, and blur the colours as an airbrush does."""
    side = image.width
    down, right = np.mgrid[0:side, 0:side] / side - 0.5
    angle, strength = rng.uniform(0, 2 * np.pi), rng.uniform(0.1, 0.7)
    light = 1 + strength * (np.cos(angle) * right + np.sin(angle) * down) - rng.uniform(0, 1.5) * (right**2 + down**2)
    shade = Image.fromarray((light * 220).clip(0, 255).astype(np.uint8)).convert("RGB")
    soft = image.filter(ImageFilter.GaussianBlur(float(rng.uniform(1, 8)) * side / 320))
    return ImageChops.multiply(Image.blend(image, soft, float(rng.uniform(0, 0.9))), shade)


def _any_colour(rng: np.random.Generator) -> Colour:
    red, green, blue = (int(level) for level in rng.integers(0, 256, 3))
    return red, green, blue


def _darker(colour: Colour, factor: float) -> Colour:
    red, green, blue = (min(255, round(level * factor)) for level in colour)
    return red, green, blue

"""Augmentation: seeded, of the served size, and each step does something."""

from dataclasses import fields

import numpy as np
import pytest
from PIL import Image

from trainer.augment.reencode import Reencode, classic, make_augment
from trainer.recipes.recipe import Reencoding, get_recipe


@pytest.fixture(scope="module")
def portrait(astronaut) -> tuple[np.ndarray, np.ndarray]:
    """A cached tensor of 256 x 256 and the same picture as served, 128 x 128."""
    larger = astronaut.crop((120, 0, 376, 256))
    return np.asarray(larger), np.asarray(larger.resize((128, 128), Image.Resampling.BICUBIC))


@pytest.mark.parametrize("kind", ["classic", "reencode"])
def test_augmentation_gives_the_served_size_and_follows_its_seed(portrait, kind):
    augment = make_augment(get_recipe("residual-cnn", augmentation=kind))
    first, again, different = (augment(*portrait, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert (first.shape, first.dtype) == ((128, 128, 3), np.uint8)
    assert np.array_equal(first, again)
    assert not np.array_equal(first, different)


def test_no_augmentation_is_none():
    assert make_augment(get_recipe("residual-cnn", augmentation="none")) is None


def only(**shares: float) -> Reencode:
    """Make the augmentation with every share 0 but these."""
    none = {item.name: 0.0 for item in fields(Reencoding) if item.name not in ("zoom", "quality")}
    return Reencode(128, Reencoding(**(none | shares)))


def test_a_whole_picture_is_exactly_what_will_be_served(portrait):
    assert np.array_equal(only(whole=1.0)(*portrait, np.random.default_rng(0)), portrait[1])


def test_native_crops_are_pixels_of_the_cache_at_every_offset(portrait):
    larger, served = portrait
    rng = np.random.default_rng(0)
    offsets = set()
    for _ in range(60):
        crop = only(native=1.0)(larger, served, rng)
        (position,) = [
            (top, left)
            for top in range(129)
            for left in range(129)
            if np.array_equal(larger[top, left : left + 128], crop[0])
            and np.array_equal(larger[top : top + 128, left : left + 128], crop)
        ]
        offsets.add((position[0] % 8, position[1] % 8))
    assert len(offsets) > 30  # of the 64 phases of the JPEG grid


@pytest.mark.parametrize(
    "step",
    [
        "flip",
        "recompress",
        "recompress_again",
        "rescale",
        "shrink",
        "blur",
        "sharpen",
        "noise",
        "colour",
        "greyscale",
        "mask",
    ],
)
def test_every_step_changes_the_picture_and_keeps_its_size(portrait, step):
    changed = only(whole=1.0, **{step: 1.0})(*portrait, np.random.default_rng(3))
    assert changed.shape == (128, 128, 3)
    assert not np.array_equal(changed, portrait[1])


def test_shrinking_compresses_small_and_enlarges_by_the_filter(portrait, monkeypatch):
    steps = []
    save, resize = Image.Image.save, Image.Image.resize
    monkeypatch.setattr(Image.Image, "save", lambda image, *a, **k: steps.append(image.size) or save(image, *a, **k))
    monkeypatch.setattr(
        Image.Image, "resize", lambda image, size, how: steps.append((size, how)) or resize(image, size, how)
    )
    sides = []
    for seed in range(200):
        steps.clear()
        assert only(whole=1.0, shrink=1.0)(*portrait, np.random.default_rng(seed)).shape == (128, 128, 3)
        (small, _), saved, enlarged = steps
        assert saved == small
        assert enlarged == ((128, 128), Image.Resampling.BICUBIC)
        sides.append(small[0])
    assert 34 <= min(sides) < 45
    assert 115 < max(sides) <= 128


def test_sharpening_sharpens(portrait):
    flat = np.asarray(portrait[1], float)
    sharper = np.asarray(only(whole=1.0, sharpen=1.0)(*portrait, np.random.default_rng(0)), float)
    assert np.abs(np.diff(sharper, axis=1)).mean() > np.abs(np.diff(flat, axis=1)).mean()


def test_compression_uses_both_samplings_every_quality_and_webp(portrait, monkeypatch):
    saved = []
    save = Image.Image.save
    monkeypatch.setattr(
        Image.Image,
        "save",
        lambda image, to, kind, **how: saved.append((kind, how.get("subsampling"))) or save(image, to, kind, **how),
    )
    augment, rng = only(whole=1.0, recompress=1.0, webp=0.3), np.random.default_rng(0)
    for _ in range(60):
        augment(*portrait, rng)
    assert {("JPEG", 0), ("JPEG", 2), ("WEBP", None)} == set(saved)


class Still:
    """A generator that draws the middle of every range, so that ``classic`` moves nothing."""

    def uniform(self, low, high, size=None):
        return np.full(size, (low + high) / 2) if size else (low + high) / 2

    def random(self):
        return 1.0


def test_classic_without_motion_is_the_picture_itself(astronaut):
    image = np.asarray(astronaut.crop((150, 20, 310, 180)))
    assert np.abs(classic(image, Still()).astype(int) - image).max() <= 1


def test_classic_fills_from_the_border():
    image = np.full((50, 50, 3), 90, np.uint8)
    assert (classic(image, np.random.default_rng(0)) == 90).all()

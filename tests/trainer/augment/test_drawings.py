"""Drawings: neither photo nor fake, whichever class they were made from."""

import numpy as np
import pytest
from PIL import Image

from trainer.augment import drawings
from trainer.augment.drawings import KEPT_BACK, TECHNIQUES, drawing
from trainer.augment.reencode import make_augment
from trainer.recipes.recipe import get_recipe

STEPS = (*dict.fromkeys(TECHNIQUES), *KEPT_BACK, drawings.inked, drawings._warped, drawings._recoloured, drawing)


@pytest.fixture
def picture(astronaut) -> Image.Image:
    return astronaut.crop((140, 20, 300, 180))


def far(first: Image.Image, second: Image.Image) -> float:
    return float(np.abs(np.asarray(first, np.float32) - np.asarray(second, np.float32)).mean())


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.__name__)
@pytest.mark.parametrize("size", [(160, 160), (97, 64)])
def test_technique_changes_pixels_keeps_size_and_original(picture, step, size):
    picture = picture.resize(size)
    before = picture.copy()
    made = [step(picture, np.random.default_rng(seed)) for seed in range(20)]
    assert all((drawing.size, drawing.mode) == (size, "RGB") for drawing in made)
    assert np.mean([far(drawing, picture) for drawing in made]) > 2
    assert far(picture, before) == 0


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.__name__)
def test_the_same_seed_draws_the_same_and_another_another(picture, step):
    first, again, *variants = (step(picture, np.random.default_rng(seed)) for seed in (1, 1, *range(2, 8)))
    assert far(first, again) == 0
    # What is kept back leaves nothing to chance.
    assert any(far(first, variant) > 0 for variant in variants) == (step not in KEPT_BACK)


def test_flat_colours_are_few_and_ink_is_black_and_white(picture):
    few = drawings.flat_colours(picture, np.random.default_rng(0))
    assert len(few.getcolors()) <= 24
    ink = drawings.black_and_white(picture, np.random.default_rng(0))
    assert {colour for _, colour in ink.getcolors()} == {(0, 0, 0), (255, 255, 255)}


def test_a_painting_keeps_edges_and_loses_grain(picture):
    flat = Image.fromarray(np.full((160, 160, 3), 120, np.uint8))
    noisy = np.asarray(flat) + np.random.default_rng(0).integers(-9, 10, (160, 160, 3))
    step = np.where(np.arange(160)[None, :, None] < 80, noisy, noisy + 100).astype(np.uint8)
    painted = np.asarray(drawings.painted(Image.fromarray(step), np.random.default_rng(0)), np.float32)
    assert painted[:, 10:60].std() < step[:, 10:60].std() / 2
    assert (painted[10:-10, 82] - painted[10:-10, 77]).mean() > 90
    assert painted[:, :5].mean() < 135  # nothing of the right border
    assert painted[:, -5:].mean() > 205


@pytest.mark.parametrize("augmentation", ["none", "classic", "reencode"])
def test_drawings_are_made_with_and_without_augmentation(augmentation, picture):
    recipe = get_recipe("residual-cnn", augmentation=augmentation, drawings=1.0)
    augment = make_augment(recipe)
    assert augment is not None
    tensor = np.asarray(picture.resize((128, 128)))
    larger = np.asarray(picture.resize((256, 256)))
    as_it_is, drawn = (augment(larger, tensor, np.random.default_rng(3), None, how) for how in (False, True))
    assert drawn.shape == as_it_is.shape == (128, 128, 3)
    assert not np.array_equal(drawn, as_it_is)

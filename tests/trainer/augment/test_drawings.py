"""Drawings: neither photo nor fake, whichever class they were made from."""

from contextlib import closing

import numpy as np
import pytest
from PIL import Image

from service.contract.faces.face import Face
from service.inference.engine import Engine
from service.inference.engine_options import EngineOptions
from tests.trainer.flat_batches import flat_batches
from trainer.augment import drawings
from trainer.augment.drawings import KEPT_BACK, TECHNIQUES, drawing
from trainer.augment.reencode import make_augment
from trainer.data.dataset import scan
from trainer.evaluation.on_drawings import covers_all_techniques, on_drawings
from trainer.recipes.recipe import get_recipe
from trainer.training.pipeline import Batches

STEPS = (*dict.fromkeys(TECHNIQUES), *KEPT_BACK, drawings.inked, drawings._warped, drawings._recoloured, drawing)


@pytest.fixture
def picture(astronaut) -> Image.Image:
    return astronaut.crop((140, 20, 300, 180))


def far(one: Image.Image, other: Image.Image) -> float:
    return float(np.abs(np.asarray(one, np.float32) - np.asarray(other, np.float32)).mean())


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.__name__)
@pytest.mark.parametrize("size", [(160, 160), (97, 64)])
def test_a_technique_changes_the_picture_and_neither_its_size_nor_the_original(picture, step, size):
    picture = picture.resize(size)
    before = picture.copy()
    made = [step(picture, np.random.default_rng(seed)) for seed in range(20)]
    assert all((one.size, one.mode) == (size, "RGB") for one in made)
    assert np.mean([far(one, picture) for one in made]) > 2
    assert far(picture, before) == 0


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.__name__)
def test_the_same_seed_draws_the_same_and_another_another(picture, step):
    first, again, *others = (step(picture, np.random.default_rng(seed)) for seed in (1, 1, *range(2, 8)))
    assert far(first, again) == 0
    # What is kept back leaves nothing to chance.
    assert any(far(first, other) > 0 for other in others) == (step not in KEPT_BACK)


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


@pytest.fixture
def make_batches(picture):
    tensors = np.stack([np.roll(np.asarray(picture), 3 * number, axis=1) for number in range(40)])
    labels = np.eye(2, dtype=np.float32)[np.arange(40) % 2]
    recipe = get_recipe("efficientnet-lite", drawings=0.25)
    faces = [Face(50, 50, 60, 60, 0.9)] * 40

    def batches(share: float = 0.25, **options) -> Batches:
        options = {"augment": make_augment(recipe), "faces": faces, "seed": 5, **options}
        return flat_batches(tensors, labels, 16, drawings=share, **options)

    return batches


def test_half_of_each_class_is_the_label_of_what_is_drawn_and_of_nothing_else(make_batches):
    plain, drawn = make_batches(0.0, views=2), make_batches(views=2)
    halves = 0
    for index in range(len(plain)):
        (before, labels), (after, halved) = plain[index], drawn[index]
        same = (before == after).all(axis=(1, 2, 3))
        is_half = (halved == 0.5).all(axis=1)
        assert np.array_equal(same, ~is_half)
        assert np.array_equal(labels[same], halved[same])
        assert np.array_equal(is_half[::2], is_half[1::2])  # both views of a picture
        halves += is_half.sum()
    assert 8 <= halves <= 36  # of 80


def test_each_epoch_draws_other_pictures_in_processes_too(make_batches):
    here = make_batches()
    seen = []
    with closing(make_batches(processes=2)) as elsewhere:
        for _ in range(3):
            batches = [here[index] for index in range(len(here))]
            for index, (images, labels) in enumerate(batches):
                assert np.array_equal(images, elsewhere[index][0])
                assert np.array_equal(labels, elsewhere[index][1])
            labels = np.concatenate([labels for _, labels in batches])
            seen.append(set(here._rows[(labels == 0.5).all(axis=1)]))
            here.on_epoch_end()
            elsewhere.on_epoch_end()
    assert seen[0] != seen[1] != seen[2]


@pytest.mark.parametrize("augmentation", ["none", "classic", "reencode"])
def test_every_augmentation_draws_and_a_recipe_without_any_does_where_it_asks(augmentation, picture):
    recipe = get_recipe("residual-cnn", augmentation=augmentation, drawings=1.0)
    augment = make_augment(recipe)
    assert augment is not None
    tensor = np.asarray(picture.resize((128, 128)))
    larger = np.asarray(picture.resize((256, 256)))
    as_it_is, drawn = (augment(larger, tensor, np.random.default_rng(3), None, how) for how in (False, True))
    assert drawn.shape == as_it_is.shape == (128, 128, 3)
    assert not np.array_equal(drawn, as_it_is)


def test_how_sure_a_model_is_of_drawings_is_counted_by_technique(faces, make_model, make_spec):
    samples = scan([faces]).samples[:6]
    bright = Engine.from_bytes(make_model(make_spec(threshold_real=0.5, threshold_fake=0.5)), EngineOptions("cpu", 1))
    found = on_drawings(bright, samples)
    assert found == on_drawings(bright, samples)
    assert found["pictures"] == 6
    assert {name for name, row in found["techniques"].items() if row["trained_on"]} == {t.__name__ for t in TECHNIQUES}
    assert {name for name, row in found["techniques"].items() if not row["trained_on"]} == {"smeared", "stippled"}
    assert all(row["real"] + row["fake"] == 1 for row in found["techniques"].values())
    assert covers_all_techniques(found)
    assert not covers_all_techniques({"techniques": {"painted": {}}})
    assert not covers_all_techniques(None)
    assert found["sure"] == 1
    unsure = Engine.from_bytes(make_model(make_spec(threshold_real=0.0, threshold_fake=1.0)), EngineOptions("cpu", 1))
    assert on_drawings(unsure, samples)["sure"] == 0

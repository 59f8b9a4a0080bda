"""Augmented pictures: drawings, faces, and pickling for workers."""

from contextlib import closing

import numpy as np
import pytest
from PIL import Image

from service.contract.faces.face import Face
from tests.trainer.flat_batches import flat_batches
from trainer.augment.reencode import make_augment
from trainer.data.dataset import scan
from trainer.data.face_framing import faces_in_tensors, with_faces
from trainer.data.tensors import cache_tensors
from trainer.recipes.recipe import get_recipe
from trainer.training.pipeline import Batches, one_hot


@pytest.fixture
def picture(astronaut) -> Image.Image:
    return astronaut.crop((140, 20, 300, 180))


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


def test_only_drawn_pictures_are_labelled_half_and_half(make_batches):
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


def test_batches_give_the_augmentation_each_pictures_face(photos, tmp_path):
    recipe = get_recipe("residual-cnn", framing="face")
    samples = with_faces(scan([photos]), recipe).samples
    faces, seen = faces_in_tensors(samples, recipe.train_preprocessing), []
    batches = flat_batches(
        cache_tensors(samples, recipe.preprocessing, tmp_path, "served"),
        one_hot(samples, recipe.class_names),
        2,
        larger=cache_tensors(samples, recipe.train_preprocessing, tmp_path, "larger"),
        faces=faces,
        augment=lambda _, served, __, face, ___: seen.append(face) or served,
        seed=0,
    )
    for index in range(len(batches)):
        batches[index]
    assert sorted(seen, key=faces.index) == faces

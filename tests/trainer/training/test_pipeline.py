"""Batches: every picture once an epoch, seeded, resumable."""

import numpy as np
import pytest

from tests.trainer.flat_batches import flat_batches
from trainer.data.dataset import scan
from trainer.training.pipeline import Batches, one_hot


def test_one_hot_follows_the_class_order(faces):
    samples = scan([faces]).samples
    fake_first = one_hot(samples, ("fake", "real"))
    assert np.array_equal(fake_first, one_hot(samples, ("real", "fake"))[:, ::-1])
    assert fake_first[[sample.label == "fake" for sample in samples]].tolist() == [[1.0, 0.0]] * 24


@pytest.fixture
def make_batches():
    tensors = np.arange(20, dtype=np.uint8)[:, None, None, None] * np.ones((1, 4, 4, 3), np.uint8)
    labels = np.eye(2, dtype=np.float32)[np.arange(20) % 2]

    def batches(**options) -> Batches:
        return flat_batches(tensors, labels, 6, **options)

    return batches


def epoch(batches: Batches) -> np.ndarray:
    return np.concatenate([batches[index][0][:, 0, 0, 0] for index in range(len(batches))])


def test_an_epoch_holds_every_image_once(make_batches):
    assert sorted(epoch(make_batches(seed=1))) == list(range(20))


def test_images_and_labels_stay_together(make_batches):
    for index in range(4):
        images, labels = make_batches(seed=3)[index]
        assert np.array_equal(images[:, 0, 0, 0] % 2, labels.argmax(axis=1))


def test_alternating_rows_come_in_every_second_epoch(make_batches):
    batches = make_batches(seed=1, halved=[np.arange(0, 7), np.arange(12, 20)])
    seen = []
    for _ in range(4):
        assert len(batches) == 3
        seen.append(sorted(epoch(batches)))
        batches.on_epoch_end()
    for first, second in ((seen[0], seen[1]), (seen[2], seen[3])):
        assert set(first) | set(second) == set(range(20))
        assert set(range(7, 12)) == set(first) & set(second) - set(range(7))
        assert len(set(first) & set(second) & set(range(7))) == 1  # of seven one comes twice
    assert seen[0] != seen[2], "the halves are cut anew"
    resumed = make_batches(seed=1, halved=[np.arange(0, 7), np.arange(12, 20)], first_epoch=3)
    assert sorted(epoch(resumed)) == seen[3]


def test_two_views_stand_side_by_side_under_one_label_and_differ(make_batches):
    def noisy(image, _, rng, *__):
        return image + rng.integers(0, 100, dtype=np.uint8) * 2

    batches = make_batches(seed=1, views=2, augment=noisy, weights=np.arange(20, dtype=np.float32))
    assert len(batches) == 7  # three pictures a step
    for index in range(7):
        images, labels, weights = batches[index]
        assert np.array_equal(labels[::2], labels[1::2])
        assert np.array_equal(weights[::2], weights[1::2])
        assert (images[::2] != images[1::2]).any()
        assert np.array_equal(images[:, 0, 0, 0] % 2, labels.argmax(axis=1))
    single = make_batches(seed=1, augment=noisy)
    assert np.array_equal(single[0][0], np.concatenate([batches[0][0][::2], batches[1][0][::2]]))


def test_validation_keeps_its_order(make_batches):
    assert epoch(make_batches()).tolist() == list(range(20))


def test_epochs_differ_and_a_resumed_run_sees_the_same_data(make_batches):
    def noisy(image, _, rng, *__):
        return image + rng.integers(0, 50, dtype=np.uint8)

    whole = make_batches(seed=9, augment=noisy)
    seen = []
    for _ in range(3):
        seen.append(epoch(whole))
        whole.on_epoch_end()
    assert not np.array_equal(seen[0], seen[1])
    assert np.array_equal(epoch(make_batches(seed=9, augment=noisy, first_epoch=2)), seen[2])

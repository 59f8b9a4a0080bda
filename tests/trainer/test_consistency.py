"""Consistency: neighbours in a batch are drawn together in training, and nothing else changes."""

from dataclasses import replace

import keras
import numpy as np
import pytest

from trainer.consistency import Consistency
from trainer.networks import compiled_network, logits_model
from trainer.recipes import get_recipe


def test_the_loss_is_the_symmetric_divergence_of_neighbours():
    layer = Consistency(0.5)
    probabilities = np.array([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8], [0.2, 0.8]], np.float32)
    assert np.array_equal(np.asarray(layer(probabilities, training=True)), probabilities)
    (loss,) = layer.losses
    apart = 0.3 * (np.log(0.9) - np.log(0.6)) - 0.3 * (np.log(0.1) - np.log(0.4))
    assert float(loss) == pytest.approx(0.5 * apart / 2, rel=1e-5)


def test_it_does_nothing_outside_training_and_bears_certainty():
    layer = Consistency(1.0)
    layer(np.array([[1.0, 0.0], [0.0, 1.0], [0.5, 0.5]], np.float32))
    assert layer.losses == []
    layer(np.array([[1.0, 0.0], [0.0, 1.0]], np.float32), training=True)
    assert np.isfinite(float(layer.losses[0]))


def test_a_network_with_it_learns_to_answer_two_views_alike_and_is_exported_without_it(tmp_path):
    recipe = replace(get_recipe("residual-cnn"), consistency=20.0, cosine_decay=False, learning_rate=1e-3)
    keras.utils.set_random_seed(0)
    model = compiled_network(recipe, steps=1)
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (16, 128, 128, 3), dtype=np.uint8)
    labels = np.eye(2, dtype=np.float32)[rng.integers(0, 2, 8).repeat(2)]
    before = model.evaluate(images, labels, verbose=0, return_dict=True)["loss"]
    first = model.train_on_batch(images, labels, return_dict=True)["loss"]
    for _ in range(15):
        last = model.train_on_batch(images, labels, return_dict=True)["loss"]
    assert last < first
    assert before == pytest.approx(np.log(2), abs=0.5), "validation counts the entropy alone"
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert again.get_layer("consistency").weight == 20.0
    np.testing.assert_allclose(np.asarray(again(images)), np.asarray(model(images)), atol=1e-5)
    assert "consistency" not in {layer.name for layer in logits_model(again).layers}

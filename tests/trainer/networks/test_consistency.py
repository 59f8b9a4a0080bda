"""Consistency: neighbours in a batch are drawn together in training, and nothing else changes."""

from dataclasses import replace

import keras
import numpy as np
import pytest

from trainer.networks.consistency import Consistency
from trainer.networks.networks import compiled_network, logits_model
from trainer.recipes.recipe import get_recipe


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


def pairs_apart(weight: float) -> float:
    """Fit one batch of pairs for a while; return how far apart the answers to two views of a picture are."""
    recipe = replace(get_recipe("residual-cnn"), consistency=weight, cosine_decay=False, learning_rate=1e-3)
    keras.utils.set_random_seed(0)
    model = compiled_network(recipe, steps=1)
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (16, 128, 128, 3), dtype=np.uint8)
    labels = np.eye(2, dtype=np.float32)[rng.integers(0, 2, 16)]  # the entropy alone drives the views apart
    for _ in range(15):
        model.train_on_batch(images, labels)
    fake = np.asarray(model(images, training=True))[:, 1]
    return float(np.abs(fake[::2] - fake[1::2]).mean())


@pytest.mark.long
def test_a_network_with_it_answers_two_views_alike():
    assert pairs_apart(20.0) < 0.2 * pairs_apart(0.0)


@pytest.mark.long
def test_consistency_loss_is_saved_but_not_exported(tmp_path):
    recipe = replace(get_recipe("residual-cnn"), consistency=20.0)
    assert recipe.views == 2
    model = compiled_network(recipe, steps=1)
    images = np.random.default_rng(0).integers(0, 256, (4, 128, 128, 3), dtype=np.uint8)
    loss = model.evaluate(images, np.eye(2, dtype=np.float32)[[0, 1, 0, 1]], verbose=0, return_dict=True)["loss"]
    assert loss == pytest.approx(np.log(2), abs=0.5), "validation counts the entropy alone"
    model.train_on_batch(images, np.eye(2, dtype=np.float32)[[0, 0, 1, 1]])
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert again.get_layer("consistency").weight == 20.0
    np.testing.assert_allclose(np.asarray(again(images)), np.asarray(model(images)), atol=1e-5)
    assert "consistency" not in {layer.name for layer in logits_model(again).layers}

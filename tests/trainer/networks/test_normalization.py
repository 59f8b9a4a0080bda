"""The fused batch normalisation is Keras's own, in training and when served, and survives a save."""

import keras
import numpy as np
import pytest
from keras import layers

from trainer.networks.normalization import FusedBatchNormalization

IMAGES = np.random.default_rng(0).normal(3, 2, (4, 6, 6, 5)).astype(np.float32)
LABELS = np.eye(2, dtype=np.float32)[[0, 1, 0, 1]]


def fitted(kind: type[layers.BatchNormalization]) -> keras.Model:
    """Train a small network for three steps."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((6, 6, 5))
    x = layers.Conv2D(8, 3, use_bias=False)(inputs)
    x = kind(momentum=0.9, name="norm")(x)
    outputs = layers.Dense(2, activation="softmax")(layers.GlobalAveragePooling2D()(layers.ReLU(6.0)(x)))
    model = keras.Model(inputs, outputs)
    model.compile(optimizer=keras.optimizers.SGD(0.1), loss="categorical_crossentropy", jit_compile=False)
    for _ in range(3):
        model.train_on_batch(IMAGES, LABELS)
    return model


def test_training_and_serving_are_those_of_keras():
    ours, theirs = fitted(FusedBatchNormalization), fitted(layers.BatchNormalization)
    for actual, expected in zip(ours.trainable_weights, theirs.trainable_weights, strict=True):
        np.testing.assert_allclose(np.asarray(actual), np.asarray(expected), rtol=1e-4, atol=1e-5)
    norms = [model.get_layer("norm") for model in (ours, theirs)]
    np.testing.assert_allclose(*(np.asarray(norm.moving_mean) for norm in norms), rtol=1e-4, atol=1e-5)
    pixels = 4 * 4 * 4
    variance = [np.asarray(norm.moving_variance) - 0.9**3 for norm in norms]
    np.testing.assert_allclose(variance[0] * (pixels - 1) / pixels, variance[1], rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(np.asarray(ours(IMAGES)), np.asarray(theirs(IMAGES)), atol=1e-2)


def test_a_frozen_layer_takes_the_way_of_keras():
    layer = FusedBatchNormalization()
    layer.build(IMAGES.shape)
    layer.trainable = False
    np.testing.assert_allclose(np.asarray(layer(IMAGES, training=True)), np.asarray(layer(IMAGES)))
    assert np.asarray(layer.moving_mean) == pytest.approx(0)


def test_a_saved_network_goes_on_where_it_was(tmp_path):
    model = fitted(FusedBatchNormalization)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert isinstance(again.get_layer("norm"), FusedBatchNormalization)
    losses = [network.train_on_batch(IMAGES, LABELS) for network in (model, again)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
